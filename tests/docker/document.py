"""Prints a request for /v1/responses with a PDF of one page that says `Invoice 42`."""

import base64
import json

drawing = b"BT /F1 12 Tf 72 720 Td (Invoice 42) Tj ET"
objects = [
    b"<</Type/Catalog/Pages 2 0 R>>",
    b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
    b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 5 0 R>>>>/Contents 4 0 R>>",
    b"<</Length %d>>stream\n%s\nendstream" % (len(drawing), drawing),
    b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
]
file, offsets = b"%PDF-1.4\n", []
for number, content in enumerate(objects, 1):
    offsets.append(len(file))
    file += b"%d 0 obj\n%s\nendobj\n" % (number, content)
start = len(file)
file += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
file += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
file += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start)

data = "data:application/pdf;base64," + base64.b64encode(file).decode()
parts = [{"type": "input_text", "text": "sum it up"}, {"type": "input_file", "filename": "a.pdf", "file_data": data}]
print(json.dumps({"model": "openclaw", "input": [{"role": "user", "content": parts}]}))
