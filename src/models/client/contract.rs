//! The fields of request bodies as data: what each may hold and what becomes of it.
//!
//! The parser, the tests and `docs/compatibility.md` read the same tables, so that no field is dropped without a word.
//! `null` counts as absent. Fields that are in no table are unknown extras, which real clients send; they are ignored.

use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::fields::{param_fault, wrong_type};
use crate::domain::Fault;
use crate::domain::model::Sampling;
use crate::wire::openai::body::read_fields;

/// Most levels of arrays and objects in anything that is kept as JSON.
pub const MAX_DEPTH: usize = 64;

/// One field of a request body.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it may hold.
    pub takes: Takes,
    /// What becomes of it.
    pub becomes: Becomes,
    /// A value, as JSON, that shows what `becomes` says.
    pub sample: &'static str,
    /// For readers of the table.
    pub note: &'static str,
}

/// What a field may hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Takes {
    /// A string.
    Text,
    /// A boolean.
    Flag,
    /// Any number.
    Number,
    /// A number within bounds, which the last text names.
    Between(f64, f64, &'static str),
    /// A number above 0.
    Positive,
    /// A whole number from 0 to this.
    UpTo(u64),
    /// A string or a list of at most so many.
    Texts(usize),
    /// An object.
    Object,
    /// An object of so many strings at most.
    Labels(usize),
    /// A list.
    List,
    /// A string, or an object that stands for one.
    TextOrObject,
    /// A string or a list.
    TextOrList,
}

/// What becomes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Becomes {
    /// The gateway acts on it.
    Supported,
    /// It goes to the provider, under the same name where the provider's dialect has it.
    PassedOn,
    /// It is checked and has no effect, and none is needed.
    Accepted,
    /// It would change the answer in a way that is not offered: 400 with this text.
    Refused(&'static str),
}

/// The fields of one body, checked against their table.
#[derive(Debug)]
pub struct Fields<'a> {
    table: &'static [Field],
    /// By position in `table`.
    values: Vec<Option<&'a RawValue>>,
}

impl<'a> Fields<'a> {
    /// Reads a body. An empty body is an empty object. The fault is a 400 that names the field.
    pub fn read(body: &'a [u8], table: &'static [Field]) -> Result<Self, Fault> {
        let position = |name: &str| table.iter().position(|field| field.name == name);
        let values = read_fields(body, table.len(), &position).map_err(|error| Fault::invalid(error.to_string()))?;
        let fields = Self { table, values };
        for (field, raw) in fields.present() {
            field.takes.check(field.name, raw)?;
            if let Becomes::Refused(reason) = field.becomes {
                return Err(unsupported(field.name, reason));
            }
        }
        Ok(fields)
    }

    /// A field, if it is present and not `null`.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.present().find(|(field, _)| field.name == name).map(|(_, raw)| raw)
    }

    /// A string field.
    pub fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// A boolean field.
    pub fn flag(&self, name: &str) -> Option<bool> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// Everything that goes to the provider.
    pub fn passed_on(&self) -> Result<Sampling, Fault> {
        let mut out = Sampling::new();
        for (field, raw) in self.present() {
            if field.becomes == Becomes::PassedOn {
                out.insert(field.name.to_owned(), value(field.name, raw)?);
            }
        }
        Ok(out)
    }

    fn present(&self) -> impl Iterator<Item = (&'static Field, &'a RawValue)> {
        let both = self.table.iter().zip(&self.values);
        both.filter_map(|(field, raw)| Some((field, (*raw)?)))
    }
}

/// A 400 for something that OpenAI knows and this gateway does not offer.
pub fn unsupported(param: &str, reason: &str) -> Fault {
    param_fault(param, format!("`{param}` is not supported: {reason}")).with_code("unsupported_parameter")
}

/// JSON that is kept.
pub fn value(param: &str, raw: &RawValue) -> Result<Value, Fault> {
    check_depth(param, raw)?;
    serde_json::from_str(raw.get()).map_err(|error| param_fault(param, format!("{param}: Invalid input: {error}")))
}

/// Refuses JSON that is nested deeper than anything means.
pub fn check_depth(param: &str, raw: &RawValue) -> Result<(), Fault> {
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    for byte in raw.get().bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            let text = format!("{param}: nested deeper than {MAX_DEPTH} levels");
            return Err(param_fault(param, text));
        }
    }
    Ok(())
}

impl Takes {
    /// In the words of the error texts and the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Flag => "boolean",
            Self::Number | Self::Between(..) | Self::Positive | Self::UpTo(_) => "number",
            Self::Texts(_) => "string or array",
            Self::Object | Self::Labels(_) => "object",
            Self::List => "array",
            Self::TextOrObject => "string or object",
            Self::TextOrList => "string or array",
        }
    }

    fn check(self, name: &str, raw: &RawValue) -> Result<(), Fault> {
        let wrong = || Err(wrong_type(name, self.name(), raw));
        let first = raw.get().as_bytes().first();
        let is_object = first == Some(&b'{');
        match self {
            Self::Text if first != Some(&b'"') => wrong(),
            Self::Flag if !matches!(raw.get(), "true" | "false") => wrong(),
            Self::Object | Self::Labels(_) if !is_object => wrong(),
            Self::List if first != Some(&b'[') => wrong(),
            Self::TextOrObject if !is_object && first != Some(&b'"') => wrong(),
            Self::TextOrList if !matches!(first, Some(b'[' | b'"')) => wrong(),
            Self::Text | Self::Flag | Self::Object | Self::List | Self::TextOrObject | Self::TextOrList => Ok(()),
            Self::Labels(most) => check_labels(name, raw, most),
            Self::Texts(most) => check_texts(name, raw, most),
            Self::Number | Self::Between(..) | Self::Positive | Self::UpTo(_) => {
                let Ok(number) = serde_json::from_str::<f64>(raw.get()) else {
                    return wrong();
                };
                self.check_number(name, number)
            }
        }
    }

    fn check_number(self, name: &str, number: f64) -> Result<(), Fault> {
        let text = match self {
            Self::Between(low, high, range) if !(low..=high).contains(&number) => {
                format!("`{name}` must be between {range}.")
            }
            Self::Positive if number <= 0.0 => format!("{name}: Too small: expected number to be >0"),
            Self::UpTo(most) if number.fract() != 0.0 || !(0.0..=most as f64).contains(&number) => {
                format!("`{name}` must be a whole number from 0 to {most}.")
            }
            _ => return Ok(()),
        };
        Err(param_fault(name, text))
    }
}

fn check_texts(name: &str, raw: &RawValue, most: usize) -> Result<(), Fault> {
    if serde_json::from_str::<String>(raw.get()).is_ok() {
        return Ok(());
    }
    match serde_json::from_str::<Vec<String>>(raw.get()) {
        Ok(list) if list.len() > most => Err(param_fault(
            name,
            format!("Invalid {name}: {name} supports at most {most} sequences"),
        )),
        Ok(_) => Ok(()),
        Err(_) => Err(param_fault(name, format!("{name}: Invalid input"))),
    }
}

fn check_labels(name: &str, raw: &RawValue, most: usize) -> Result<(), Fault> {
    let labels: std::collections::BTreeMap<String, &RawValue> =
        serde_json::from_str(raw.get()).map_err(|_| wrong_type(name, "object", raw))?;
    if labels.len() > most {
        return Err(param_fault(name, format!("`{name}` holds at most {most} pairs.")));
    }
    for (key, label) in labels {
        if !label.get().starts_with('"') {
            return Err(wrong_type(&format!("{name}.{key}"), "string", label));
        }
    }
    Ok(())
}

/// Whether `raw` is a list of more than `most` elements; counts without keeping any.
pub fn is_longer(raw: &RawValue, most: usize) -> bool {
    serde_json::from_str::<Vec<IgnoredAny>>(raw.get()).is_ok_and(|list| list.len() > most)
}
