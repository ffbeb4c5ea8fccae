//! The text of `--help`.

use pflag::FlagArity;

use super::flag_specs::FlagPolicy;
use super::verbs::{Program, Verb};

/// Lists the commands that begin with `words`.
pub(super) fn commands(program: Program, verbs: &[&'static [Verb]], words: &str) -> String {
    let program = program.name();
    let mut text = format!("{program}, translated into commands of Buildah:\n");
    let names = verbs.iter().copied().flatten().flat_map(|verb| verb.names);
    for name in names.filter(|name| name.starts_with(words)) {
        text += &format!("  {program} {name}\n");
    }
    text
}

/// Lists the flags of a verb.
pub(super) fn flags(verb: &Verb, command: &str) -> String {
    let mut text = format!("{command}: {}\n", verb.effect);
    for flag in verb.flags.iter().copied().flatten() {
        let short = flag.short.map(|short| format!("-{short}, "));
        let value = match flag.arity {
            FlagArity::Value => " VALUE",
            FlagArity::Switch | FlagArity::Optional(_) => "",
        };
        text += &format!("  {}--{}{value}", short.unwrap_or_default(), flag.long);
        text += &match flag.policy {
            FlagPolicy::Passed | FlagPolicy::Renamed(_) => "\n".to_owned(),
            FlagPolicy::Handled(how) | FlagPolicy::Implied(how) => format!("  ({how})\n"),
            FlagPolicy::Ignored(why) => format!("  (left out: {why})\n"),
            FlagPolicy::NotAvailable(because, _) => {
                format!("  (not available, because {because})\n")
            }
        };
    }
    text
}
