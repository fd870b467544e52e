//! The rules of OpenAPI 3.1 that a document of this service can break, from the specification's text: the fields of
//! each object, what is required, that names and references lead somewhere, and what changed since 3.0.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

const ROOT: &[&str] = &[
    "openapi",
    "info",
    "jsonSchemaDialect",
    "servers",
    "paths",
    "webhooks",
    "components",
    "security",
    "tags",
    "externalDocs",
];
const INFO: &[&str] = &[
    "title",
    "summary",
    "description",
    "termsOfService",
    "contact",
    "license",
    "version",
];
const METHODS: &[&str] = &["get", "put", "post", "delete", "options", "head", "patch", "trace"];
const PATH_ITEM: &[&str] = &["summary", "description", "servers", "parameters"];
const OPERATION: &[&str] = &[
    "tags",
    "summary",
    "description",
    "externalDocs",
    "operationId",
    "parameters",
    "requestBody",
    "responses",
    "callbacks",
    "deprecated",
    "security",
    "servers",
];
const PARAMETER: &[&str] = &[
    "name",
    "in",
    "description",
    "required",
    "deprecated",
    "allowEmptyValue",
    "style",
    "explode",
    "allowReserved",
    "schema",
    "example",
    "examples",
    "content",
];
const RESPONSE: &[&str] = &["description", "headers", "content", "links"];
const REQUEST_BODY: &[&str] = &["description", "content", "required"];
const MEDIA_TYPE: &[&str] = &["schema", "example", "examples", "encoding"];
const COMPONENTS: &[&str] = &[
    "schemas",
    "responses",
    "parameters",
    "examples",
    "requestBodies",
    "headers",
    "securitySchemes",
    "links",
    "callbacks",
    "pathItems",
];
const TYPES: &[&str] = &["null", "boolean", "object", "array", "number", "string", "integer"];

/// Everything that is wrong with `document`, each with its place.
pub(super) fn violations(document: &Value) -> Vec<String> {
    let mut judge = Judge {
        document,
        found: Vec::new(),
        operation_ids: BTreeSet::new(),
    };
    judge.root();
    judge.found
}

struct Judge<'a> {
    document: &'a Value,
    found: Vec<String>,
    operation_ids: BTreeSet<String>,
}

impl<'a> Judge<'a> {
    fn complain(&mut self, place: &str, what: impl std::fmt::Display) {
        self.found.push(format!("{place}: {what}"));
    }

    /// The object at `place`, whose fields must be among `known` or begin with `x-`.
    fn object(&mut self, place: &str, value: &'a Value, known: &[&str]) -> Option<&'a Map<String, Value>> {
        let Some(fields) = value.as_object() else {
            self.complain(place, "is no object");
            return None;
        };
        for field in fields.keys() {
            if !known.contains(&field.as_str()) && !field.starts_with("x-") {
                self.complain(place, format_args!("`{field}` is no field here"));
            }
        }
        Some(fields)
    }

    fn text(&mut self, place: &str, fields: &Map<String, Value>, name: &str) {
        if !fields.get(name).is_some_and(Value::is_string) {
            self.complain(place, format_args!("`{name}` must be there and a text"));
        }
    }

    fn root(&mut self) {
        let Some(root) = self.object("document", self.document, ROOT) else {
            return;
        };
        let version = root.get("openapi").and_then(Value::as_str).unwrap_or_default();
        let patch = version.strip_prefix("3.1.").unwrap_or_default();
        if patch.is_empty() || !patch.bytes().all(|byte| byte.is_ascii_digit()) {
            self.complain("openapi", format_args!("must be 3.1.x, not `{version}`"));
        }
        if let Some(info) = self.object("info", &root["info"], INFO) {
            self.text("info", info, "title");
            self.text("info", info, "version");
            if let Some(license) = info.get("license") {
                let both = license.get("identifier").is_some() && license.get("url").is_some();
                if !license["name"].is_string() || both {
                    self.complain(
                        "info",
                        "`license` must have a name, and an identifier or a URL but not both",
                    );
                }
            }
        }
        let Some(paths) = root.get("paths").and_then(Value::as_object) else {
            self.complain("paths", "must be there");
            return;
        };
        let mut shapes = BTreeSet::new();
        for (path, item) in paths {
            if !path.starts_with('/') {
                self.complain("paths", format_args!("`{path}` must begin with a slash"));
            }
            let shape: Vec<_> = path
                .split('/')
                .map(|part| if part.starts_with('{') { "{}" } else { part })
                .collect();
            if !shapes.insert(shape) {
                self.complain("paths", format_args!("`{path}` is there under another name"));
            }
            self.path_item(path, item);
        }
        if let Some(components) = root.get("components") {
            self.components(components);
        }
    }

    fn path_item(&mut self, path: &str, item: &'a Value) {
        let known = [METHODS, PATH_ITEM].concat();
        let Some(item) = self.object(path, item, &known) else {
            return;
        };
        for (method, operation) in item.iter().filter(|(field, _)| METHODS.contains(&field.as_str())) {
            self.operation(&format!("{method} {path}"), path, operation);
        }
    }

    fn operation(&mut self, place: &str, path: &str, operation: &'a Value) {
        let Some(operation) = self.object(place, operation, OPERATION) else {
            return;
        };
        if let Some(id) = operation.get("operationId") {
            let id = id.as_str().unwrap_or_default();
            if id.is_empty() || !self.operation_ids.insert(id.to_owned()) {
                self.complain(
                    place,
                    format_args!("operationId `{id}` must be a text, and nobody else's"),
                );
            }
        }
        self.parameters(place, path, operation.get("parameters"));
        if let Some(body) = operation.get("requestBody") {
            let place = format!("{place} requestBody");
            if let Some(body) = self.object(&place, body, REQUEST_BODY) {
                self.content(&place, body.get("content"));
            }
        }
        let responses = operation.get("responses").and_then(Value::as_object);
        if responses.is_none_or(Map::is_empty) {
            self.complain(place, "describes no response");
        }
        for (status, response) in responses.into_iter().flatten() {
            let is_status = status == "default"
                || (status.len() == 3
                    && status.starts_with(|c| ('1'..='5').contains(&c))
                    && (status.ends_with("XX") || status.bytes().all(|byte| byte.is_ascii_digit())));
            if !is_status {
                self.complain(place, format_args!("`{status}` is no status"));
            }
            let place = format!("{place} {status}");
            if let Some(response) = self.object(&place, response, RESPONSE) {
                self.text(&place, response, "description");
                if response.contains_key("content") {
                    self.content(&place, response.get("content"));
                }
            }
        }
    }

    fn parameters(&mut self, place: &str, path: &str, parameters: Option<&'a Value>) {
        let mut seen = BTreeSet::new();
        for parameter in parameters.and_then(Value::as_array).into_iter().flatten() {
            let Some(fields) = self.object(place, parameter, PARAMETER) else {
                continue;
            };
            let name = fields.get("name").and_then(Value::as_str).unwrap_or_default();
            let within = fields.get("in").and_then(Value::as_str).unwrap_or_default();
            let place = format!("{place} parameter {name}");
            if name.is_empty() || !["query", "header", "path", "cookie"].contains(&within) {
                self.complain(
                    &place,
                    format_args!("must have a name and be `in` a known place, not `{within}`"),
                );
            }
            if !seen.insert((within, name)) {
                self.complain(&place, "is there twice");
            }
            if within == "path" {
                if fields.get("required") != Some(&Value::Bool(true)) {
                    self.complain(&place, "in a path it must be `required`");
                }
                if !path.contains(&format!("{{{name}}}")) {
                    self.complain(&place, format_args!("is not in {path}"));
                }
            }
            match (fields.get("schema"), fields.get("content")) {
                (Some(schema), None) => self.schema(&place, schema),
                (None, Some(_)) => self.content(&place, fields.get("content")),
                _ => self.complain(&place, "must have either a schema or content"),
            }
        }
        for part in path.split('/').filter(|part| part.starts_with('{')) {
            let name = part.trim_matches(['{', '}']);
            if !seen.contains(&("path", name)) {
                self.complain(place, format_args!("{part} has no parameter"));
            }
        }
    }

    fn content(&mut self, place: &str, content: Option<&'a Value>) {
        let content = content.and_then(Value::as_object);
        if content.is_none_or(Map::is_empty) {
            self.complain(place, "must have content");
        }
        for (media_type, body) in content.into_iter().flatten() {
            if media_type.split('/').filter(|part| !part.is_empty()).count() != 2 {
                self.complain(place, format_args!("`{media_type}` is no media type"));
            }
            if let Some(body) = self.object(place, body, MEDIA_TYPE)
                && let Some(schema) = body.get("schema")
            {
                self.schema(&format!("{place} {media_type}"), schema);
            }
        }
    }

    fn components(&mut self, components: &'a Value) {
        let Some(components) = self.object("components", components, COMPONENTS) else {
            return;
        };
        for (kind, named) in components {
            for (name, component) in named.as_object().into_iter().flatten() {
                let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
                if !name.chars().all(is_name) {
                    self.complain(kind, format_args!("`{name}` is no name for a component"));
                }
                if kind == "schemas" {
                    self.schema(&format!("schema {name}"), component);
                }
            }
        }
    }

    /// JSON Schema 2020-12, as far as it is used; other keywords are left alone, as the specification wants it.
    fn schema(&mut self, place: &str, schema: &'a Value) {
        if schema.is_boolean() {
            return;
        }
        let Some(schema) = schema.as_object() else {
            self.complain(place, "a schema is an object or a truth value");
            return;
        };
        if let Some(reference) = schema.get("$ref") {
            let pointer = reference.as_str().and_then(|text| text.strip_prefix('#'));
            if pointer.is_none_or(|pointer| self.document.pointer(pointer).is_none()) {
                self.complain(place, format_args!("{reference} leads nowhere"));
            }
        }
        let types = match schema.get("type") {
            None => Vec::new(),
            Some(Value::Array(types)) => types.iter().collect(),
            Some(one) => vec![one],
        };
        for name in types {
            if !name.as_str().is_some_and(|name| TYPES.contains(&name)) {
                self.complain(place, format_args!("{name} is no type"));
            }
        }
        // 3.0 had these otherwise.
        if schema.contains_key("nullable") {
            self.complain(place, "`nullable` is gone since 3.1: use the type null");
        }
        for limit in ["exclusiveMinimum", "exclusiveMaximum", "minimum", "maximum"] {
            if schema.get(limit).is_some_and(|value| !value.is_number()) {
                self.complain(place, format_args!("`{limit}` must be a number"));
            }
        }
        if let Some(required) = schema.get("required") {
            let names = required.as_array().into_iter().flatten().map(Value::as_str);
            let names: Option<Vec<_>> = names.collect();
            let is_set = names.is_some_and(|names| names.iter().collect::<BTreeSet<_>>().len() == names.len());
            if !required.is_array() || !is_set {
                self.complain(place, "`required` must be a list of different names");
            }
        }
        if schema
            .get("enum")
            .is_some_and(|values| values.as_array().is_none_or(Vec::is_empty))
        {
            self.complain(place, "`enum` must be a list of values");
        }
        for (name, property) in schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            self.schema(&format!("{place}.{name}"), property);
        }
        for inner in ["items", "additionalProperties", "not"] {
            if let Some(inner_schema) = schema.get(inner) {
                self.schema(&format!("{place}.{inner}"), inner_schema);
            }
        }
        for group in ["oneOf", "anyOf", "allOf"] {
            if let Some(schemas) = schema.get(group) {
                if schemas.as_array().is_none_or(Vec::is_empty) {
                    self.complain(place, format_args!("`{group}` must be a list of schemas"));
                }
                for inner in schemas.as_array().into_iter().flatten() {
                    self.schema(&format!("{place}.{group}"), inner);
                }
            }
        }
    }
}
