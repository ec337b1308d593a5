//! Is this body right, and if not, what is wrong with each of its fields?
//!
//! [`Fields`] takes a JSON object apart field by field and collects every mistake, so that a form can
//! show all of them at once; what nobody took is unknown and refused. A `PATCH` is read over the
//! object as it is, then checked as a whole.

mod readers;

pub use readers::*;

use crate::error::{ApiError, ApiResult, FieldError};
use serde::Serialize;
use serde_json::{Map, Value};

/// Why a value is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Where in the value, `[0].to`; empty for the value itself.
    pub at: String,
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
}

impl Wrong {
    pub fn new(code: &'static str, message: impl ToString) -> Self {
        Self { at: String::new(), code, message: message.to_string(), hint: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn under(mut self, outer: &str) -> Self {
        self.at = format!("{outer}{}", self.at);
        self
    }
}

/// A JSON object that is being read.
pub struct Fields {
    left: Map<String, Value>,
    given: Vec<String>,
    errors: Vec<FieldError>,
}

impl Fields {
    /// Bad JSON is refused with its place.
    pub fn parse(body: &[u8]) -> ApiResult<Self> {
        let value: Value = serde_json::from_slice(body).map_err(|err| {
            let place = format!("line {} column {}", err.line(), err.column());
            let error = FieldError::new("", "invalid_json", format!("{err}")).hint(format!("look at {place}"));
            ApiError::invalid(vec![error])
        })?;
        match value {
            Value::Object(left) => Ok(Self { given: left.keys().cloned().collect(), left, errors: Vec::new() }),
            _ => Err(ApiError::invalid(vec![FieldError::new("", "invalid_type", "must be a JSON object")])),
        }
    }

    /// The object itself, for readers of their own.
    pub fn into_value(self) -> Value {
        self.left.into()
    }

    /// A change: fields that are not given stay as they are in `current`.
    pub fn patch(body: &[u8], current: &impl Serialize) -> ApiResult<Self> {
        let mut fields = Self::parse(body)?;
        let current = serde_json::to_value(current).map_err(ApiError::internal)?;
        for (name, value) in current.as_object().into_iter().flatten() {
            fields.left.entry(name.clone()).or_insert_with(|| value.clone());
        }
        Ok(fields)
    }

    /// Keeps a field that is not part of what `current` shows, a password.
    pub fn keep(mut self, name: &str, current: Option<&String>) -> Self {
        let value = current.map_or(Value::Null, |text| text.as_str().into());
        self.left.entry(name.to_owned()).or_insert(value);
        self
    }

    /// A field that must be there.
    pub fn req<T>(&mut self, name: &str, read: impl Fn(&Value) -> Result<T, Wrong>) -> Option<T> {
        match self.take(name) {
            Some(value) => self.read(name, &value, read),
            None => {
                self.wrong(name, Wrong::new("required", "is required"));
                None
            }
        }
    }

    /// A field that may be missing or null: `None` is an error that was noted, `Some(None)` is absent.
    pub fn opt<T>(&mut self, name: &str, read: impl Fn(&Value) -> Result<T, Wrong>) -> Option<Option<T>> {
        match self.take(name) {
            Some(value) => self.read(name, &value, read).map(Some),
            None => Some(None),
        }
    }

    /// A field with a default.
    pub fn or<T>(&mut self, name: &str, default: T, read: impl Fn(&Value) -> Result<T, Wrong>) -> Option<T> {
        match self.take(name) {
            Some(value) => self.read(name, &value, read),
            None => Some(default),
        }
    }

    /// Notes a mistake.
    pub fn wrong(&mut self, name: &str, wrong: Wrong) {
        let Wrong { at, code, message, hint } = wrong;
        self.errors.push(FieldError { field: format!("{name}{at}"), code: code.into(), message, hint });
    }

    /// Notes mistakes that another reader found.
    pub fn extend(&mut self, errors: impl IntoIterator<Item = impl Into<FieldError>>) {
        self.errors.extend(errors.into_iter().map(Into::into));
    }

    /// The raw value, no longer unknown; null counts as absent.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name).filter(|value| !value.is_null())
    }

    /// What was read, or 422 with everything that was wrong. `make` gives `None` only after a noted mistake.
    pub fn build<T>(mut self, make: impl FnOnce() -> Option<T>) -> ApiResult<T> {
        for name in self.left.keys().filter(|name| self.given.contains(name)) {
            self.errors.push(FieldError::new(name.clone(), "unknown_field", "is not a field here"));
        }
        if !self.errors.is_empty() {
            return Err(ApiError::invalid(self.errors));
        }
        make().ok_or_else(|| ApiError::internal("a field was refused without a word"))
    }

    fn read<T>(&mut self, name: &str, value: &Value, read: impl Fn(&Value) -> Result<T, Wrong>) -> Option<T> {
        read(value).map_err(|wrong| self.wrong(name, wrong)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, PartialEq)]
    struct Point {
        x: i64,
        y: i64,
    }

    fn point(mut fields: Fields) -> ApiResult<Point> {
        let x = fields.req("x", integer(0..=9));
        let y = fields.or("y", 5, integer(0..=9));
        fields.build(|| Some(Point { x: x?, y: y? }))
    }

    fn found(body: &str) -> Vec<(String, String)> {
        let problem = serde_json::to_value(Fields::parse(body.as_bytes()).and_then(point).unwrap_err().problem());
        let errors = problem.unwrap()["errors"].as_array().unwrap().clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        errors.iter().map(|error| (text(&error["field"]), text(&error["code"]))).collect()
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let expected = [("x", "required"), ("y", "out_of_range"), ("z", "unknown_field")];
        assert_eq!(found(r#"{"y": 10, "z": 1}"#), expected.map(|(f, c)| (f.to_owned(), c.to_owned())));
    }

    #[test]
    fn bad_json_is_refused_with_its_place() {
        let problem = Fields::parse(b"{\"x\": }").map(drop).unwrap_err().problem();
        let problem = serde_json::to_value(problem).unwrap();
        assert_eq!(problem["errors"][0]["hint"], "look at line 1 column 7");
        assert_eq!(found("[]"), [(String::new(), "invalid_type".to_owned())]);
    }

    #[test]
    fn a_patch_keeps_what_it_does_not_name_and_null_is_the_default() {
        let current = json!({"x": 1, "y": 2});
        let patched = Fields::patch(br#"{"x": 7}"#, &current).and_then(point).unwrap();
        assert_eq!(patched, Point { x: 7, y: 2 });
        let patched = Fields::patch(br#"{"y": null}"#, &current).and_then(point).unwrap();
        assert_eq!(patched, Point { x: 1, y: 5 });
    }
}
