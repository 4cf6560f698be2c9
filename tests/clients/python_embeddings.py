"""Embeddings with the official Python SDK and LangChain."""
import openai
from langchain_openai import OpenAIEmbeddings

from double import MODEL, last_request, raises

client = openai.OpenAI(max_retries=0, timeout=20)
VECTOR = [0.5, 0.25, -1.0]

# Without a format the SDK asks for base64 and decodes it itself.
for more in ({}, {"encoding_format": "float"}):
    made = client.embeddings.create(model=MODEL, input=["one", "two"], dimensions=3, **more)
    assert [(item.index, item.embedding) for item in made.data] == [(0, VECTOR), (1, VECTOR)], made
    assert made.usage.prompt_tokens > 0, made.usage
assert last_request()["dimensions"] == 3, last_request()
assert client.embeddings.create(model=MODEL, input="one").data[0].embedding == VECTOR
with raises(openai.BadRequestError):
    client.embeddings.create(model=MODEL, input=["x"] * 2049)
with raises(openai.NotFoundError):
    client.embeddings.create(model="openclaw/ghost", input="x")

embeddings = OpenAIEmbeddings(model=MODEL, check_embedding_ctx_length=False, max_retries=0)
assert embeddings.embed_documents(["a", "b"]) == [VECTOR, VECTOR]
assert embeddings.embed_query("a") == VECTOR
print("all good")
