//! A runner's name: the pod's name, in the characters that the CI service accepts.

/// The characters that CircleCI's reference allows: alphanumerics and `.()-_`. GitHub accepts them too.
fn allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || ".()-_".contains(character)
}

/// Returns the configured name, or the pod's. Other characters become `-`. Only the last `limit` characters remain, because a
/// pod's name has its unique part at the end.
pub(super) fn of(set: Option<&str>, limit: usize) -> String {
    let pod = || {
        let name = nix::unistd::gethostname().ok();
        name.and_then(|name| name.into_string().ok())
    };
    let name = set.map(str::to_owned).or_else(pod).unwrap_or_default();
    let name: Vec<char> = name
        .chars()
        .map(|character| if allowed(character) { character } else { '-' })
        .collect();
    let kept: String = name[name.len().saturating_sub(limit)..].iter().collect();
    // GitHub's runner does not accept a value that begins with a dash.
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
