//! One pattern of an ignore file, and the paths that it matches.

/// A pattern. Docker compares one without wildcards, and one with `**` at one end only, as plain text.
#[derive(Debug)]
pub(super) enum Glob {
    /// The path itself.
    Exact(Vec<char>),
    /// `x**`: all that begins so.
    Prefix(Vec<char>),
    /// `**x`: all that ends so. `**/x` matches `x` too.
    Suffix(Vec<char>),
    /// Anything else.
    Tokens {
        tokens: Vec<Token>,
        /// The number of letters at its beginning.
        literal: usize,
        /// The number of letters at its end.
        tail: usize,
    },
}

/// A part of a pattern.
#[derive(Debug)]
pub(super) enum Token {
    /// This letter.
    Letter(char),
    /// `?`: any letter but a slash.
    Any,
    /// `*`: any letters but slashes.
    Star,
    /// `**` within a pattern: nothing, or anything that ends with a slash.
    Directories,
    /// `**` at the end: anything.
    Rest,
    /// `[a-z]`, or `[^a-z]`.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Token {
    fn letter(&self) -> Option<char> {
        match self {
            Self::Letter(letter) => Some(*letter),
            _ => None,
        }
    }

    /// Whether it matches a letter, apart from the repeated ones.
    fn takes(&self, letter: char) -> bool {
        match self {
            Self::Letter(wanted) => *wanted == letter,
            Self::Any => letter != '/',
            Self::Class { negated, ranges } => {
                let within = ranges
                    .iter()
                    .any(|(low, high)| (*low..=*high).contains(&letter));
                within != *negated
            }
            Self::Star | Self::Directories | Self::Rest => false,
        }
    }
}

impl Glob {
    /// Parses a cleaned pattern. `None` if it is malformed, path/filepath `Match` of Go.
    pub(super) fn parse(pattern: &str) -> Option<Self> {
        let text: Vec<char> = pattern.chars().collect();
        let tokens = tokens(&text)?;
        let letters: Option<Vec<char>> = tokens.iter().map(Token::letter).collect();
        // An escape makes a pattern, and not a plain text.
        if let Some(letters) = letters {
            return Some(Self::Exact(letters));
        }
        let plain = |text: &[char]| !text.iter().any(|letter| "*?[]\\".contains(*letter));
        match text.as_slice() {
            ['*', '*', rest @ ..] if plain(rest) => return Some(Self::Suffix(rest.to_vec())),
            [rest @ .., '*', '*'] if plain(rest) => return Some(Self::Prefix(rest.to_vec())),
            _ => {}
        }
        let is_letter = |token: &&Token| token.letter().is_some();
        let literal = tokens.iter().take_while(is_letter).count();
        let tail = tokens.iter().rev().take_while(is_letter).count();
        Some(Self::Tokens {
            tokens,
            literal,
            tail,
        })
    }

    /// Whether it matches a path.
    pub(super) fn matches(&self, path: &[char]) -> bool {
        match self {
            Self::Exact(text) => text == path,
            Self::Prefix(text) => path.starts_with(text),
            Self::Suffix(text) => {
                path.ends_with(text) || (text.first() == Some(&'/') && text[1..] == *path)
            }
            Self::Tokens {
                tokens,
                literal,
                tail,
            } => {
                let same = |tokens: &[Token], text: &[char]| {
                    let mut pairs = tokens.iter().zip(text);
                    pairs.all(|(token, letter)| token.takes(*letter))
                };
                path.len() >= *literal.max(tail)
                    && same(&tokens[..*literal], path)
                    && same(&tokens[tokens.len() - tail..], &path[path.len() - tail..])
                    && run(tokens, path)
            }
        }
    }

    /// Whether it may match a directory, or something beneath it.
    pub(super) fn may_match_beneath(&self, directory: &[char]) -> bool {
        let literal: Vec<char> = match self {
            Self::Exact(text) => {
                return self.matches(directory)
                    || (text.starts_with(directory) && text.get(directory.len()) == Some(&'/'));
            }
            Self::Suffix(_) => return true,
            Self::Prefix(text) => text.clone(),
            Self::Tokens {
                tokens, literal, ..
            } => tokens[..*literal]
                .iter()
                .filter_map(Token::letter)
                .collect(),
        };
        let common = literal.len().min(directory.len());
        literal[..common] == directory[..common]
            && (literal.len() <= directory.len() || literal[common] == '/')
    }
}

/// Follows all ways through the tokens at once, so that the time is at most their product with the path's length.
fn run(tokens: &[Token], path: &[char]) -> bool {
    let mut current = States::new(tokens);
    current.enter(0);
    let mut next = States::new(tokens);
    for letter in path {
        next.clear();
        for &(at, inside) in &current.list {
            match tokens.get(at) {
                Some(Token::Star) if *letter != '/' => next.enter(at),
                Some(Token::Rest) => next.enter(at),
                Some(Token::Directories) => {
                    next.stay(at);
                    if *letter == '/' {
                        next.enter(at + 1);
                    }
                }
                Some(token) if !inside && token.takes(*letter) => next.enter(at + 1),
                _ => {}
            }
        }
        std::mem::swap(&mut current, &mut next);
        if current.list.is_empty() {
            return false;
        }
    }
    current.entered.get(tokens.len()) == Some(&true)
}

/// The places in a pattern that a part of a path may have reached.
struct States<'a> {
    tokens: &'a [Token],
    /// The places, and whether each is within a `**`.
    list: Vec<(usize, bool)>,
    entered: Vec<bool>,
    within: Vec<bool>,
}

impl<'a> States<'a> {
    fn new(tokens: &'a [Token]) -> Self {
        Self {
            tokens,
            list: Vec::new(),
            entered: vec![false; tokens.len() + 1],
            within: vec![false; tokens.len() + 1],
        }
    }

    fn clear(&mut self) {
        for (at, inside) in self.list.drain(..) {
            let states = if inside {
                &mut self.within
            } else {
                &mut self.entered
            };
            states[at] = false;
        }
    }

    /// Adds a place, and those after it that need no letter.
    fn enter(&mut self, mut at: usize) {
        while !self.entered[at] {
            self.entered[at] = true;
            self.list.push((at, false));
            match self.tokens.get(at) {
                Some(Token::Star | Token::Directories | Token::Rest) => at += 1,
                _ => return,
            }
        }
    }

    /// Stays within a `**`, whose directory has not ended.
    fn stay(&mut self, at: usize) {
        if !self.within[at] {
            self.within[at] = true;
            self.list.push((at, true));
        }
    }
}

fn tokens(text: &[char]) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(letter) = text.get(at) {
        at += 1;
        tokens.push(match letter {
            '*' if text.get(at) == Some(&'*') => {
                at += 1;
                at += usize::from(text.get(at) == Some(&'/'));
                if at >= text.len() {
                    Token::Rest
                } else {
                    Token::Directories
                }
            }
            '*' => Token::Star,
            '?' => Token::Any,
            '\\' => {
                at += 1;
                Token::Letter(*text.get(at - 1)?)
            }
            '[' => {
                let (class, length) = class(&text[at..])?;
                at += length;
                class
            }
            letter => Token::Letter(*letter),
        });
    }
    Some(tokens)
}

/// Reads a class behind its bracket. Returns its length too.
fn class(text: &[char]) -> Option<(Token, usize)> {
    let negated = text.first() == Some(&'^');
    let mut at = usize::from(negated);
    let mut ranges = Vec::new();
    loop {
        if text.get(at) == Some(&']') && !ranges.is_empty() {
            return Some((Token::Class { negated, ranges }, at + 1));
        }
        let low = class_letter(text, &mut at)?;
        let high = if text.get(at) == Some(&'-') {
            at += 1;
            class_letter(text, &mut at)?
        } else {
            low
        };
        ranges.push((low, high));
    }
}

fn class_letter(text: &[char], at: &mut usize) -> Option<char> {
    let letter = *text.get(*at)?;
    *at += 1;
    match letter {
        '-' | ']' => None,
        '\\' => {
            *at += 1;
            text.get(*at - 1).copied()
        }
        letter => Some(letter),
    }
}
