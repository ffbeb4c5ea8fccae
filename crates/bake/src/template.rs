//! Texts with interpolations and directives, and `for` expressions.

use hcl_edit::Ident;
use hcl_edit::expr::ForExpr;
use hcl_edit::template::{Directive, Element, Strip};
use serde_json::{Map, Value};

use crate::error::{BakeError, Result};
use crate::evaluator::{Evaluator, Scope};
use crate::value::{boolean, expected, kind, text};

/// How the literals of a template are written.
#[derive(Clone, Copy)]
struct Form {
    /// Whether the directives around it strip its beginning and its end.
    strips: (Strip, Strip),
    /// Whether the literals have escapes.
    escaped: bool,
    /// Whether the literals of its directives have escapes.
    quoted: bool,
}

impl Evaluator<'_> {
    /// Returns the value of a template. A single interpolation keeps its type. `quoted` says that it stands in quotes: hcl-edit
    /// leaves the escapes in the directives of such a text.
    pub(crate) fn template<'t>(
        &mut self,
        elements: impl Iterator<Item = &'t Element>,
        quoted: bool,
        scope: &Scope<'_>,
    ) -> Result<Value> {
        let elements: Vec<&Element> = elements.collect();
        if let [Element::Interpolation(only)] = elements.as_slice() {
            return self.value(&only.expr, scope);
        }
        let form = Form {
            strips: (Strip::None, Strip::None),
            escaped: false,
            quoted,
        };
        self.template_text(&elements, form, scope)
            .map(Value::String)
    }

    fn template_text(
        &mut self,
        elements: &[&Element],
        form: Form,
        scope: &Scope<'_>,
    ) -> Result<String> {
        let mut written = String::new();
        let mut trims_start = form.strips.0.strip_end();
        for (index, element) in elements.iter().enumerate() {
            match element {
                Element::Literal(literal) => {
                    let next = elements.get(index + 1).map(|next| strips(next).0);
                    let trims_end = next.unwrap_or(form.strips.1.strip_start());
                    let unescaped = form.escaped.then(|| unescape(literal));
                    let mut piece: &str = unescaped.as_deref().unwrap_or(literal);
                    if trims_start {
                        piece = piece.trim_start();
                    }
                    if trims_end {
                        piece = piece.trim_end();
                    }
                    written.push_str(piece);
                }
                Element::Interpolation(interpolation) => {
                    let value = self.value(&interpolation.expr, scope)?;
                    let piece = text(&value).map_err(|_| {
                        BakeError::new(format!("a text cannot contain {}", kind(&value)))
                    })?;
                    written.push_str(&piece);
                }
                Element::Directive(directive) => {
                    written.push_str(&self.directive(directive, form.quoted, scope)?);
                }
            }
            trims_start = strips(element).1;
            self.context.budget.take(written.len())?;
        }
        Ok(written)
    }

    fn directive(
        &mut self,
        directive: &Directive,
        quoted: bool,
        scope: &Scope<'_>,
    ) -> Result<String> {
        let inside = |first, last| Form {
            strips: (first, last),
            escaped: quoted,
            quoted,
        };
        match directive {
            Directive::If(directive) => {
                let first = &directive.if_expr;
                let end = directive.endif_expr.strip;
                let on = self.value(&first.cond_expr, scope)?;
                match (boolean(&on)?, &directive.else_expr) {
                    (true, other) => {
                        let elements: Vec<&Element> = first.template.iter().collect();
                        let last = other.as_ref().map_or(end, |other| other.strip);
                        self.template_text(&elements, inside(first.strip, last), scope)
                    }
                    (false, Some(other)) => {
                        let elements: Vec<&Element> = other.template.iter().collect();
                        self.template_text(&elements, inside(other.strip, end), scope)
                    }
                    (false, None) => Ok(String::new()),
                }
            }
            Directive::For(directive) => {
                let first = &directive.for_expr;
                let form = inside(first.strip, directive.endfor_expr.strip);
                let elements: Vec<&Element> = first.template.iter().collect();
                let collection = self.value(&first.collection_expr, scope)?;
                let mut written = String::new();
                for (key, value) in pairs(collection)? {
                    let names = (first.key_var.as_deref(), &*first.value_var);
                    let inner = bound(scope, names, key, value);
                    written.push_str(&self.template_text(&elements, form, &inner)?);
                    self.context.budget.take(written.len())?;
                }
                Ok(written)
            }
        }
    }

    pub(crate) fn for_expression(&mut self, each: &ForExpr, scope: &Scope<'_>) -> Result<Value> {
        let collection = self.value(&each.intro.collection_expr, scope)?;
        let (mut list, mut map) = (Vec::new(), Map::new());
        for (key, value) in pairs(collection)? {
            let names = (each.intro.key_var.as_deref(), &*each.intro.value_var);
            let inner = bound(scope, names, key, value);
            if let Some(condition) = &each.cond {
                let on = self.value(&condition.expr, &inner)?;
                if !boolean(&on)? {
                    continue;
                }
            }
            let value = self.value(&each.value_expr, &inner)?;
            let Some(key) = &each.key_expr else {
                list.push(value);
                continue;
            };
            let key = text(&self.value(key, &inner)?)?;
            if each.grouping {
                let group = map.entry(key).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(group) = group {
                    group.push(value);
                }
            } else if map.insert(key.clone(), value).is_some() {
                return Err(BakeError::new(format!(
                    "two elements have the key {key:?}; add ... after the value to group them"
                )));
            }
        }
        Ok(if each.key_expr.is_some() {
            Value::Object(map)
        } else {
            Value::Array(list)
        })
    }
}

/// Replaces the escapes of a text in quotes.
fn unescape(literal: &str) -> String {
    let mut written = String::new();
    let mut letters = literal.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            written.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => written.push('\n'),
            Some('r') => written.push('\r'),
            Some('t') => written.push('\t'),
            Some(kind @ ('u' | 'U')) => {
                let digits: String = letters
                    .by_ref()
                    .take(if kind == 'u' { 4 } else { 8 })
                    .collect();
                let code = u32::from_str_radix(&digits, 16).ok();
                written.push(code.and_then(char::from_u32).unwrap_or('\u{fffd}'));
            }
            Some(other) => written.push(other),
            None => {}
        }
    }
    written
}

fn bound<'a>(
    scope: &'a Scope<'a>,
    (key_name, value_name): (Option<&Ident>, &Ident),
    key: Value,
    value: Value,
) -> Scope<'a> {
    let mut inner = scope.child();
    if let Some(name) = key_name {
        inner.names.insert(name.as_str().to_owned(), key);
    }
    inner.names.insert(value_name.as_str().to_owned(), value);
    inner
}

/// Returns whether an element strips the text before it and after it.
fn strips(element: &Element) -> (bool, bool) {
    match element {
        Element::Literal(_) => (false, false),
        Element::Interpolation(interpolation) => {
            let strip = interpolation.strip;
            (strip.strip_start(), strip.strip_end())
        }
        Element::Directive(directive) => match &**directive {
            Directive::If(directive) => (
                directive.if_expr.strip.strip_start(),
                directive.endif_expr.strip.strip_end(),
            ),
            Directive::For(directive) => (
                directive.for_expr.strip.strip_start(),
                directive.endfor_expr.strip.strip_end(),
            ),
        },
    }
}

/// Returns the keys and values of a collection.
fn pairs(collection: Value) -> Result<Vec<(Value, Value)>> {
    match collection {
        Value::Array(list) => {
            let pairs = list.into_iter().enumerate();
            Ok(pairs.map(|(at, value)| (Value::from(at), value)).collect())
        }
        Value::Object(map) => {
            let pairs = map.into_iter();
            Ok(pairs
                .map(|(key, value)| (Value::String(key), value))
                .collect())
        }
        other => Err(expected("a list or an object after in", &other)),
    }
}
