//! The kind of a token, recognized by its characters.

/// The error is a sentence about the token.
pub(super) type Check = Result<(), String>;

/// Rejects a token that is not one word of printable characters.
pub(super) fn one_word(token: &str) -> Check {
    if token.chars().all(|character| character.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(
            "holds white space or characters that no token has; was more than the token copied?"
                .to_owned(),
        )
    }
}

/// Prefixes of tokens, and the kinds that they mark.
const KINDS: [(&str, &str); 11] = [
    ("ghp_", "a personal access token"),
    ("github_pat_", "a fine-grained personal access token"),
    ("gho_", "an OAuth access token"),
    ("ghu_", "a GitHub App's user token"),
    ("ghs_", "an installation token of a GitHub App"),
    ("ghr_", "a refresh token"),
    ("-----BEGIN", "a private key or certificate (PEM)"),
    ("CCIPAT_", "a personal API token of CircleCI"),
    ("CCIPRJ_", "a project API token of CircleCI"),
    ("glrt-", "a runner token of GitLab"),
    ("eyJ", "a JSON web token"),
];

/// Returns the kind of a token if its prefix is a known one.
pub(super) fn kind(token: &str) -> Option<&'static str> {
    let known = KINDS.iter().find(|(start, _)| token.starts_with(start));
    // Base64 of any JSON object begins like a web token, whose parts are separated by dots.
    known
        .filter(|(start, _)| *start != "eyJ" || token.contains('.'))
        .map(|(_, kind)| *kind)
}
