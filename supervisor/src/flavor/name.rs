//! A runner's name: the pod's, in the characters that the vendor takes.

/// What CircleCI's reference allows, and GitHub takes too: alphanumerics and `.()-_`.
fn allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || ".()-_".contains(character)
}

/// The name that was set, or the pod's; other characters become `-`, and it is cut to `limit` from its start, since a pod's
/// own part is at the end of its name.
pub(super) fn of(set: Option<&str>, limit: usize) -> String {
    let pod = || {
        let name = nix::unistd::gethostname().ok();
        name.and_then(|name| name.into_string().ok())
    };
    let name = set.map(str::to_owned).or_else(pod).unwrap_or_default();
    let name: Vec<char> = (name.chars())
        .map(|character| if allowed(character) { character } else { '-' })
        .collect();
    let kept: String = name[name.len().saturating_sub(limit)..].iter().collect();
    // GitHub's runner takes an argument that begins with a dash for no value.
    match kept.trim_start_matches('-') {
        "" => "ci-cd-agents".to_owned(),
        kept => kept.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_to_the_vendors_characters_and_length() {
        assert_eq!(of(Some("pod_1.(a)"), 64), "pod_1.(a)");
        assert_eq!(of(Some("pod/1 ä"), 64), "pod-1--");
        assert_eq!(of(Some("abcdef"), 4), "cdef");
        assert_eq!(of(Some("--abcdef-ghi"), 4), "ghi");
        assert_eq!(of(Some(""), 4), "ci-cd-agents");
        assert!(!of(None, 64).is_empty());
    }
}
