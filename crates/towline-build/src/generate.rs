//! A service of a `.proto` file as `towline::service!`.

use std::borrow::Cow;

use heck::ToSnakeCase;
use prost_build::{Comments, Method, Service};

/// Rust's words that a service may be called; what methods are called is made safe by `prost_build`.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else", "enum",
    "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move",
    "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Appends the service.
pub(crate) fn service(service: &Service, code: &mut String) {
    let wire = match service.package.as_str() {
        "" => service.proto_name.clone(),
        package => format!("{package}.{}", service.proto_name),
    };
    code.push_str("::towline::service! {\n");
    about(&service.comments, 1, &format!("The service `{wire}`."), code);
    code.push_str(&format!("    pub mod {} in towline::codec::Prost as \"{wire}\" {{\n", module(&service.proto_name)));
    for method in &service.methods {
        about(&method.comments, 2, &format!("Calls `{wire}/{}`.", method.proto_name), code);
        code.push_str(&line(method));
    }
    code.push_str("    }\n}\n");
}

/// The file's remarks as documentation, or what else there is to say.
fn about(comments: &Comments, indent: u8, otherwise: &str, code: &mut String) {
    comments.append_with_indent(indent, code);
    if comments.leading.is_empty() && comments.trailing.is_empty() {
        code.push_str(&format!("{:1$}/// {otherwise}\n", "", 4 * usize::from(indent)));
    }
}

fn line(method: &Method) -> String {
    let stream = |is: bool| if is { "stream " } else { "" };
    // A client has a `new` of its own.
    let name = if method.name == "new" { "new_" } else { &method.name };
    format!(
        "        fn {name}({}{}) -> {}{} as \"{}\";\n",
        stream(method.client_streaming),
        from_module(&method.input_type),
        stream(method.server_streaming),
        from_module(&method.output_type),
        method.proto_name,
    )
}

fn module(service: &str) -> String {
    let name = service.to_snake_case();
    match name.as_str() {
        // These cannot be raw.
        "self" | "super" | "crate" => name + "_",
        word if KEYWORDS.contains(&word) => format!("r#{word}"),
        _ => name,
    }
}

/// A type as the service's module, one level deeper, must call it. Its own `Handler` and `Client` would hide a message
/// of that name.
fn from_module(path: &str) -> Cow<'_, str> {
    let is_message = path.contains("::") || path.starts_with(|first: char| first.is_uppercase());
    if !is_message || path.starts_with("::") || path.starts_with("crate::") {
        path.into() // `u64`, `()`, `::prost_types::Timestamp`
    } else {
        format!("super::{path}").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_may_be_called_as_a_word_of_rust() {
        for (service, expected) in
            [("Oven", "oven"), ("HotPlate", "hot_plate"), ("Match", "r#match"), ("Super", "super_")]
        {
            assert_eq!(module(service), expected);
        }
    }

    #[test]
    fn types_are_called_from_one_level_deeper() {
        for (path, expected) in [
            ("Dish", "super::Dish"),
            ("dish::Part", "super::dish::Part"),
            ("super::units::Mass", "super::super::units::Mass"),
            ("::prost_types::Timestamp", "::prost_types::Timestamp"),
            ("crate::own::Type", "crate::own::Type"),
            ("()", "()"),
            ("u64", "u64"),
        ] {
            assert_eq!(from_module(path), expected);
        }
    }
}
