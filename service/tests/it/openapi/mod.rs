//! The description of the interface: whole, as it is routed, and by the rules of OpenAPI 3.1.

mod document;
mod routes;
mod rules;
