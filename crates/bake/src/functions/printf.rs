//! `format`: the verbs of HCL's function of this name.

use serde_json::Value;

use super::encoding::go_json;
use crate::budget::Context;
use crate::error::{BakeError, Result};
use crate::value::{integer, number, text};

/// The largest width and precision.
const WIDEST: usize = 1024;

#[derive(Default)]
struct Verb {
    minus: bool,
    plus: bool,
    zero: bool,
    space: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
}

/// Formats arguments by a pattern such as `%s-%03d`.
pub(super) fn format(pattern: &str, arguments: &[Value], context: &mut Context) -> Result<String> {
    let mut written = String::new();
    let mut letters = pattern.chars().peekable();
    let (mut next, mut used) = (0, 0);
    while let Some(letter) = letters.next() {
        if letter != '%' {
            written.push(letter);
            continue;
        }
        if letters.next_if_eq(&'%').is_some() {
            written.push('%');
            continue;
        }
        let mut verb = Verb::default();
        while let Some(flag) = letters.next_if(|c| matches!(c, '-' | '+' | '0' | ' ' | '#')) {
            match flag {
                '-' => verb.minus = true,
                '+' => verb.plus = true,
                '0' => verb.zero = true,
                ' ' => verb.space = true,
                _ => verb.sharp = true,
            }
        }
        verb.width = digits(&mut letters)?.unwrap_or(0);
        if letters.next_if_eq(&'.').is_some() {
            verb.precision = Some(digits(&mut letters)?.unwrap_or(0));
        }
        if letters.next_if_eq(&'[').is_some() {
            next = digits(&mut letters)?.unwrap_or(0).wrapping_sub(1);
            letters.next_if_eq(&']');
        }
        let kind = letters
            .next()
            .ok_or_else(|| BakeError::new("the pattern ends after %"))?;
        let argument = arguments.get(next).ok_or_else(|| {
            BakeError::new(format!(
                "%{kind} has no argument: there are {}",
                arguments.len()
            ))
        })?;
        next += 1;
        used = used.max(next);
        written.push_str(&verb.print(kind, argument)?);
        context.budget.take(written.len())?;
    }
    if used < arguments.len() {
        return Err(BakeError::new(format!(
            "the pattern uses {used} of {} arguments",
            arguments.len()
        )));
    }
    Ok(written)
}

fn digits(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Option<usize>> {
    let mut found = String::new();
    while let Some(digit) = letters.next_if(char::is_ascii_digit) {
        found.push(digit);
    }
    if found.is_empty() {
        return Ok(None);
    }
    let number = found.parse().ok().filter(|number| *number <= WIDEST);
    number
        .map(Some)
        .ok_or_else(|| BakeError::new(format!("{found} is more than {WIDEST}")))
}

impl Verb {
    fn print(&self, kind: char, argument: &Value) -> Result<String> {
        let signed = |printed: String| match (printed.starts_with('-'), self.plus, self.space) {
            (false, true, _) => format!("+{printed}"),
            (false, false, true) => format!(" {printed}"),
            _ => printed,
        };
        let printed = match kind {
            's' => self.cut(text(argument)?),
            'q' => go_json(&Value::String(self.cut(text(argument)?))),
            'v' if self.sharp => go_json(argument),
            'v' => match argument {
                Value::Null => "null".to_owned(),
                Value::Array(_) | Value::Object(_) => go_json(argument),
                simple => text(simple)?,
            },
            't' => crate::value::boolean(argument)?.to_string(),
            'd' => signed(integer(argument)?.to_string()),
            'b' => signed(format!("{:b}", integer(argument)?)),
            'o' => signed(format!("{:o}", integer(argument)?)),
            'x' => signed(format!("{:x}", integer(argument)?)),
            'X' => signed(format!("{:X}", integer(argument)?)),
            'f' => signed(format!(
                "{:.*}",
                self.precision.unwrap_or(6),
                number(argument)?
            )),
            other => {
                return Err(BakeError::new(format!(
                    "%{other} is not available; use %s %q %v %t %d %b %o %x %X or %f"
                )));
            }
        };
        let missing = self.width.saturating_sub(printed.chars().count());
        Ok(
            match (
                self.minus,
                self.zero && !matches!(kind, 's' | 'q' | 'v' | 't'),
            ) {
                (true, _) => printed + &" ".repeat(missing),
                (false, false) => " ".repeat(missing) + &printed,
                (false, true) => {
                    let sign = printed.len() - printed.trim_start_matches(['-', '+', ' ']).len();
                    format!(
                        "{}{}{}",
                        &printed[..sign],
                        "0".repeat(missing),
                        &printed[sign..]
                    )
                }
            },
        )
    }

    fn cut(&self, whole: String) -> String {
        match self.precision {
            Some(count) => whole.chars().take(count).collect(),
            None => whole,
        }
    }
}
