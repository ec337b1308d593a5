//! `/openapi.json`: the API as the code has it.
//!
//! utoipa collects the paths and schemas; here is what they have in common: who may come in, how a
//! refusal looks, and that a `PATCH` takes any part of what a `POST` takes.

use crate::error::Problem;
use serde_json::{Map, Value, json};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Components, OpenApi as Document,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

#[derive(OpenApi)]
#[openapi(
    info(title = "ScaiBox", description = "Telephony with bots, on a box of your own."),
    components(schemas(Problem)),
    security(("key" = []), ("session" = [])),
    modifiers(&Security)
)]
pub struct Api;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_with(Components::default);
        let key = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("An API key")).build();
        components.add_security_scheme("key", SecurityScheme::Http(key));
        let cookie = ApiKeyValue::with_description(
            "__Host-scaibox",
            "Set by POST /v1/session; everything but reads needs its CSRF token in X-CSRF-Token",
        );
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

/// The document as it is served.
pub fn document(collected: &Document) -> Value {
    let mut document = json!(collected);
    let schemas = document["components"]["schemas"].take();
    let mut schemas = Schemas(schemas.as_object().cloned().unwrap_or_default());
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (method, operation) in paths.flat_map(|(_, path)| path.as_object_mut().into_iter().flatten()) {
        operation["responses"]["default"] = problem_response();
        if let Some(body) = operation.pointer_mut("/requestBody/content/application~1json/schema") {
            if method == "patch" { schemas.make_patch(body) } else { schemas.make_input(body) }
        }
    }
    document["components"]["schemas"] = schemas.0.into();
    document
}

fn problem_response() -> Value {
    json!({
        "description": "Refused; `code` says why",
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
    })
}

/// The named schemas, and what becomes of them where clients may leave things out: `…New` for a `POST`, `…Patch` for a `PATCH`.
struct Schemas(Map<String, Value>);

impl Schemas {
    /// What has a default need not be sent.
    fn make_input(&mut self, schema: &mut Value) {
        if let Some(name) = reference(schema) {
            let mut input = self.0.get(&name).cloned().unwrap_or_default();
            self.make_input(&mut input);
            if self.0.get(&name) != Some(&input) {
                *schema = refer(&format!("{name}New"), schema);
                self.0.insert(format!("{name}New"), input);
            }
            return;
        }
        let defaults = schema.get("properties").cloned().unwrap_or_default();
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|name| defaults[name.as_str().unwrap_or_default()].get("default").is_none());
        }
        children(schema).for_each(|child| self.make_input(child));
    }

    /// Nothing needs to be sent; what is sent is whole.
    fn make_patch(&mut self, schema: &mut Value) {
        if let Some(name) = reference(schema) {
            let mut patch = self.0.get(&name).cloned().unwrap_or_default();
            self.make_patch(&mut patch);
            *schema = refer(&format!("{name}Patch"), schema);
            self.0.insert(format!("{name}Patch"), patch);
            return;
        }
        if let Some(members) = schema.as_object_mut() {
            members.remove("required");
        }
        let parts = schema.get_mut("allOf").and_then(Value::as_array_mut).map(std::mem::take);
        for child in children(schema) {
            child.as_object_mut().map(|members| members.remove("default")); // what is not sent stays as it is
            self.make_input(child);
        }
        if let Some(mut parts) = parts {
            parts.iter_mut().for_each(|part| self.make_patch(part));
            schema["allOf"] = parts.into();
        }
    }
}

/// The schemas directly inside this one.
fn children(schema: &mut Value) -> impl Iterator<Item = &mut Value> {
    let members = schema.as_object_mut().into_iter().flatten();
    members.flat_map(|(name, value)| -> Vec<&mut Value> {
        match (name.as_str(), value) {
            ("properties", Value::Object(properties)) => properties.iter_mut().map(|(_, value)| value).collect(),
            ("allOf" | "oneOf" | "anyOf", Value::Array(parts)) => parts.iter_mut().collect(),
            ("items", items) => vec![items],
            _ => vec![],
        }
    })
}

fn reference(schema: &Value) -> Option<String> {
    schema.get("$ref")?.as_str()?.rsplit('/').next().map(str::to_owned)
}

/// The same reference, with whatever stands beside it, to another schema.
fn refer(name: &str, beside: &Value) -> Value {
    let mut members = beside.as_object().cloned().unwrap_or_default();
    members.insert("$ref".into(), format!("#/components/schemas/{name}").into());
    members.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schemas() -> Schemas {
        let inner =
            json!({ "type": "object", "required": ["a", "b"], "properties": { "a": {}, "b": { "default": 1 } } });
        let outer = json!({ "type": "object", "required": ["list"], "properties": {
            "list": { "type": "array", "items": { "$ref": "#/components/schemas/Inner" } } } });
        let plain = json!({ "type": "object", "required": ["x"], "properties": { "x": {} } });
        let all = json!({ "Inner": inner, "Outer": outer, "Plain": plain });
        Schemas(all.as_object().unwrap().clone())
    }

    fn reference_to(name: &str) -> Value {
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    #[test]
    fn what_has_a_default_need_not_be_sent() {
        let (mut schemas, mut body) = (schemas(), reference_to("Outer"));
        schemas.make_input(&mut body);
        assert_eq!(body, reference_to("OuterNew"));
        assert_eq!(schemas.0["InnerNew"]["required"], json!(["a"]));
        assert_eq!(schemas.0["OuterNew"]["properties"]["list"]["items"], reference_to("InnerNew"));
        let mut plain = reference_to("Plain");
        schemas.make_input(&mut plain);
        assert_eq!(plain, reference_to("Plain"));
    }

    #[test]
    fn a_patch_needs_nothing_but_its_lists_are_whole() {
        let (mut schemas, mut body) = (schemas(), reference_to("Outer"));
        schemas.make_patch(&mut body);
        assert_eq!(body, reference_to("OuterPatch"));
        assert_eq!(schemas.0["OuterPatch"].get("required"), None);
        assert_eq!(schemas.0["OuterPatch"]["properties"]["list"]["items"], reference_to("InnerNew"));
    }
}
