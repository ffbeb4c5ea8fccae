//! The variables of a stage, as far as a Dockerfile and the command line show them.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::super::error::Problem;
use super::hash::hash;

/// The variables that a builder sets by itself.
pub(super) const PREDEFINED: [&str; 8] = [
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETARCH",
    "TARGETVARIANT",
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDARCH",
    "BUILDVARIANT",
];

/// A variable that no build sets: ARG and ENV of this name are refused. Its default value puts a text into a word that Buildah
/// would read otherwise. `_` would not do, because images of shells have it.
pub(super) const UNSET: &str = "CI_CD_AGENTS_UNSET";

/// What expands to an empty text.
pub(super) const NOTHING: &str = "${CI_CD_AGENTS_UNSET}";

/// What is known of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Variable {
    /// It has this value.
    Known(String),
    /// It is set, to a value that is not visible here.
    Set,
    /// It is not set.
    Unset,
    /// Only the base image can set it.
    Unknown,
}

/// The most that the values of all scopes together hold, in bytes. The value of a variable beyond that is unknown.
const MAX_VALUES: usize = 1024 * 1024;

/// The most scopes that are searched. Beyond that, the value of each variable is unknown.
const MAX_SEARCHED: usize = 20_000_000;

/// The most steps of matching all patterns. Each takes some nanoseconds.
const MAX_MATCHED: usize = 50_000_000;

/// The most that all changes together come to, in bytes: as much as the files of a build may.
const MAX_CHANGES: usize = 8 * 1024 * 1024;

type Values = BTreeMap<String, Option<String>>;

/// The variables at one place of a Dockerfile.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// Those of ENV. They hide the ARGs.
    environment: Values,
    arguments: Values,
    /// A hash of the ARGs of the stages that this one begins with, if they have any.
    handed_on: Option<String>,
    /// The stage that this one begins with.
    base: Option<Rc<Scope>>,
    /// Whether no base image adds variables.
    closed: bool,
    /// The size of all values, of all stages.
    size: Rc<Cell<usize>>,
    /// The scopes that have been searched so far.
    searched: Rc<Cell<usize>>,
    /// The steps of matching patterns so far.
    matched: Rc<Cell<usize>>,
    /// The bytes of the changes so far.
    changed: Rc<Cell<usize>>,
}

impl Scope {
    /// Returns the scope of the ARGs before the first FROM. No image adds variables to it.
    pub(super) fn global() -> Self {
        Self {
            closed: true,
            ..Self::default()
        }
    }

    /// Returns the scope of a new stage that begins with an image, or with nothing.
    pub(super) fn stage(&self, scratch: bool) -> Self {
        Self {
            closed: scratch,
            size: Rc::clone(&self.size),
            searched: Rc::clone(&self.searched),
            matched: Rc::clone(&self.matched),
            changed: Rc::clone(&self.changed),
            ..Self::default()
        }
    }

    /// Returns the scope of a new stage that begins with the result of an earlier one: it has the variables of ENV.
    pub(super) fn after(base: &Rc<Self>) -> Self {
        Self {
            handed_on: base.has_arguments().then(|| hash(base.argument_texts())),
            base: Some(Rc::clone(base)),
            closed: base.closed,
            size: Rc::clone(&base.size),
            searched: Rc::clone(&base.searched),
            matched: Rc::clone(&base.matched),
            changed: Rc::clone(&base.changed),
            ..Self::default()
        }
    }

    pub(super) fn variable(&self, name: &str) -> Variable {
        let found = self.inherited(name);
        match found.or_else(|| self.arguments.get(name)) {
            // A file of many variables would copy a long value often. One that is not copied is still set.
            Some(Some(value)) if self.may_match(value.len() / 16) => Variable::Known(value.clone()),
            Some(Some(_)) => Variable::Set,
            Some(None) => Variable::Set,
            None if name != UNSET && self.handed_on(name).is_some() => Variable::Set,
            None if self.closed || name == UNSET => Variable::Unset,
            None => Variable::Unknown,
        }
    }

    /// Whether the value of a variable has no comma. A value that is not visible may have one.
    pub(super) fn is_one_field(&self, name: &str) -> bool {
        match self.variable(name) {
            Variable::Known(value) => !value.contains(','),
            // A build for several platforms has several values, and none of them has a comma.
            Variable::Set => {
                let exhausted = self.size.get() > MAX_VALUES;
                let handed_on = self.handed_on(name).and_then(Option::as_ref);
                let own = self.arguments.contains_key(name);
                PREDEFINED.contains(&name)
                    && !exhausted
                    && self.inherited(name).is_none()
                    && (own || handed_on.is_none_or(|value| !value.contains(',')))
            }
            Variable::Unset | Variable::Unknown => true,
        }
    }

    fn inherited(&self, name: &str) -> Option<&Option<String>> {
        self.search(Some(self), |scope| scope.environment.get(name))
    }

    /// Returns the ARG of this name of a stage that this one begins with. BuildKit and Buildah 1.43 hand it on; Buildah as the text
    /// that stands there, so that the value is not known.
    fn handed_on(&self, name: &str) -> Option<&Option<String>> {
        self.search(self.base.as_deref(), |scope| scope.arguments.get(name))
    }

    /// Searches a scope and those that it begins with. After too many searches, all is found, without a value.
    fn search<'a>(
        &self,
        mut scope: Option<&'a Self>,
        find: impl Fn(&'a Self) -> Option<&'a Option<String>>,
    ) -> Option<&'a Option<String>> {
        while let Some(current) = scope {
            if self.searched.get() >= MAX_SEARCHED {
                return Some(&None);
            }
            self.searched.set(self.searched.get() + 1);
            let found = find(current);
            if found.is_some() {
                return found;
            }
            scope = current.base.as_deref();
        }
        None
    }

    /// Returns a value, and an empty one for a variable that is not set.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        match self.variable(name) {
            Variable::Known(value) => Some(value),
            Variable::Unset => Some(String::new()),
            Variable::Set | Variable::Unknown => None,
        }
    }

    pub(super) fn set_environment(&mut self, name: &str, value: Option<String>) {
        let value = self.bounded(value);
        self.environment.insert(name.to_owned(), value);
    }

    pub(super) fn set_argument(&mut self, name: &str, value: Option<String>) {
        let value = self.bounded(value);
        self.arguments.insert(name.to_owned(), value);
    }

    /// Whether a pattern that takes this many steps may still be matched.
    pub(super) fn may_match(&self, steps: usize) -> bool {
        let steps = self.matched.get().saturating_add(steps);
        self.matched.set(steps);
        steps <= MAX_MATCHED
    }

    /// Notes a change of so many bytes.
    pub(super) fn change(&self, bytes: usize) -> Result<(), Problem> {
        let bytes = self.changed.get().saturating_add(bytes);
        self.changed.set(bytes);
        if bytes > MAX_CHANGES {
            return Err(Problem::TooManyChanges(MAX_CHANGES >> 20));
        }
        Ok(())
    }

    fn bounded(&self, value: Option<String>) -> Option<String> {
        let size = self.size.get() + value.as_ref().map_or(0, String::len);
        self.size.set(size);
        value.filter(|_| size <= MAX_VALUES)
    }

    /// Whether an ARG is set here, or in a stage that this one begins with.
    pub(super) fn has_arguments(&self) -> bool {
        !self.arguments.is_empty() || self.handed_on.is_some()
    }

    /// Returns what differs if a value of these ARGs does.
    pub(super) fn argument_texts(&self) -> impl Iterator<Item = &str> {
        let pairs = self.arguments.iter();
        let own =
            pairs.flat_map(|(name, value)| [name.as_str(), value.as_deref().unwrap_or_default()]);
        self.handed_on.as_deref().into_iter().chain(own)
    }

    /// Returns the value of an ARG of this scope, if it is set there.
    pub(super) fn argument(&self, name: &str) -> Option<&Option<String>> {
        self.arguments.get(name)
    }
}
