//! How is a JSON object read so that every wrong field is named, not only the first?

use serde::Serialize;
use serde_json::{Map, Value};
use std::str::FromStr;

/// One thing that is wrong, for an entry of a 422's `errors`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Path from the body's root, `rules[0].match_params.days`.
    pub field: String,
    /// Stable: `required`, `invalid_type`, `unknown_value`, `unknown_field`, `invalid_id`, …
    pub code: &'static str,
    pub message: String,
}

/// Takes fields out of an object; what is left at the end is unknown.
pub(crate) struct Fields<'a> {
    path: String,
    left: Map<String, Value>,
    errors: &'a mut Vec<FieldError>,
}

impl<'a> Fields<'a> {
    /// An absent object is an empty one; anything but an object is an error and then empty.
    pub fn open(value: Option<Value>, path: &str, errors: &'a mut Vec<FieldError>) -> Self {
        let left = match value {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(map)) => map,
            Some(_) => {
                errors.push(error(path, "invalid_type", "must be an object"));
                Map::new()
            }
        };
        Self { path: path.to_owned(), left, errors }
    }

    pub fn path(&self, name: &str) -> String {
        match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }

    pub fn wrong(&mut self, name: &str, code: &'static str, message: impl ToString) {
        self.errors.push(error(&self.path(name), code, message));
    }

    /// The raw value; `null` counts as absent.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name).filter(|value| !value.is_null())
    }

    pub fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name) {
            Some(Value::String(text)) => Some(text),
            Some(_) => {
                self.wrong(name, "invalid_type", "must be a string");
                None
            }
            None => None,
        }
    }

    pub fn required_text(&mut self, name: &str) -> Option<String> {
        let absent = !self.left.contains_key(name) || self.left[name].is_null();
        if absent {
            self.left.remove(name);
            self.wrong(name, "required", "is required");
            return None;
        }
        self.text(name)
    }

    /// A text that parses, or an error with `code` and the parser's own words.
    pub fn parsed<T: FromStr<Err: ToString>>(&mut self, name: &str, code: &'static str, required: bool) -> Option<T> {
        let text = if required { self.required_text(name)? } else { self.text(name)? };
        match text.parse() {
            Ok(value) => Some(value),
            Err(why) => {
                self.wrong(name, code, why);
                None
            }
        }
    }

    pub fn errors(&mut self) -> &mut Vec<FieldError> {
        self.errors
    }

    /// Whatever nobody took is a mistake of the writer.
    pub fn close(self) {
        for name in self.left.keys() {
            let path = self.path(name);
            self.errors.push(error(&path, "unknown_field", "is not a field here"));
        }
    }
}

fn error(field: &str, code: &'static str, message: impl ToString) -> FieldError {
    FieldError { field: field.to_owned(), code, message: message.to_string() }
}
