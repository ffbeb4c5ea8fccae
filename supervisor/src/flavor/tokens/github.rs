//! GitHub's JIT configurations and registration tokens.
//!
//! Sources: REST API "self-hosted runners" (generate-jitconfig, registration-token, remove-token); actions/runner,
//! `Runner.cs` (a JIT configuration is base64 of a JSON object of file names and base64 contents) and `Constants.cs`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::form::{kind, one_word};
use super::{encoded, expiry};

const JIT_BELONGS: &str =
    "a JIT configuration belongs (encoded_jit_config of the API's answer to generate-jitconfig)";
const REGISTRATION_BELONGS: &str = "a registration token belongs (token of the API's answer to registration-token, or remove-token)";
const MINT: &str = "mint a new one for each job";

/// The files that the runner writes from a JIT configuration, by name.
type Files = BTreeMap<String, String>;

/// A JIT configuration.
pub(in crate::flavor) fn jit(value: &str) -> Result<Option<String>, String> {
    if let Some(kind) = kind(value).filter(|_| files(value).is_none()) {
        return Err(format!("is {kind}, where {JIT_BELONGS}"));
    }
    if value.starts_with('{') {
        return Err(format!(
            "is JSON, where {JIT_BELONGS}; take the value of encoded_jit_config alone"
        ));
    }
    let Some(files) = files(value) else {
        return Err(no_jit(value));
    };
    for name in [".runner", ".credentials"] {
        if !files.contains_key(name) {
            return Err(format!(
                "is a JIT configuration without {name}: was it cut off?"
            ));
        }
    }
    if let Some(end) = credentials_end(&files) {
        expiry::over(end, MINT)?;
    }
    Ok(value.contains(char::is_whitespace).then(|| one_line(value)))
}

fn files(value: &str) -> Option<Files> {
    let value = Zeroizing::new(one_line(value));
    serde_json::from_str(&encoded::decode(&value)?).ok()
}

/// Removes line breaks: base64(1) inserts them, and the runner's own decoder ignores them.
fn one_line(value: &str) -> String {
    value.split_ascii_whitespace().collect()
}

fn no_jit(value: &str) -> String {
    if encoded::hides(value, |inner| files(inner).is_some()) {
        return encoded::TWICE.to_owned();
    }
    if is_registration(value) {
        return format!(
            "looks like a registration token, where {JIT_BELONGS}; put it under registration_token"
        );
    }
    format!("is not base64 of a JSON object, where {JIT_BELONGS}; was it cut off?")
}

/// Returns the expiry of an access token in the credentials. A runner's key has no expiry.
fn credentials_end(files: &Files) -> Option<std::time::SystemTime> {
    let credentials = encoded::decode(files.get(".credentials")?)?;
    let credentials: Value = serde_json::from_str(&credentials).ok()?;
    let data = credentials
        .get("Data")
        .or_else(|| credentials.get("data"))?;
    expiry::of_jwt(data.get("token")?.as_str()?)
}

/// The API's whole response, which has the token's expiry.
#[derive(Deserialize)]
struct Answer {
    token: String,
    expires_at: Option<String>,
}

/// Checks a registration or remove token, alone or in the API's response. Returns the token if it was in a response.
pub(in crate::flavor) fn registration(value: &str) -> Result<Option<String>, String> {
    if value.starts_with('{') {
        let answer: Answer = serde_json::from_str(value)
            .map_err(|_| format!("is JSON without a \"token\", where {REGISTRATION_BELONGS}"))?;
        if let Some(end) = answer.expires_at.as_deref().and_then(expiry::of_text) {
            expiry::over(
                end,
                "registration tokens live for one hour; mint a new one for each job",
            )?;
        }
        return registration(&answer.token).map(|inner| inner.or(Some(answer.token)));
    }
    if files(value).is_some() {
        return Err(format!(
            "is a JIT configuration, where {REGISTRATION_BELONGS}; put it under jitconfig"
        ));
    }
    if let Some(kind) = kind(value) {
        return Err(format!("is {kind}, where {REGISTRATION_BELONGS}"));
    }
    one_word(value)?;
    if encoded::hides(value, is_registration) {
        return Err(encoded::TWICE.to_owned());
    }
    Ok(None)
}

/// Whether a token looks like GitHub's: 25 to 40 capitals and digits (29 at present). Other forms are accepted too.
fn is_registration(value: &str) -> bool {
    (25..=40).contains(&value.len())
        && (value.bytes()).all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::super::encoded::encode;
    use super::*;

    const REGISTRATION: &str = "AABF3JGZDX3P5PMEXLND6TS6FCWO6";

    fn configuration(credentials: &str) -> String {
        let files = BTreeMap::from([
            (".runner", encode(r#"{"AgentName":"pod"}"#)),
            (".credentials", encode(credentials)),
            (".credentials_rsaparams", encode("{}")),
        ]);
        encode(&serde_json::to_string(&files).unwrap())
    }

    #[test]
    fn a_jit_configuration_is_told_from_everything_else() {
        let good = configuration(r#"{"Scheme":"OAuth","Data":{"ClientId":"x"}}"#);
        assert_eq!(jit(&good), Ok(None));
        let fault = |value: &str| jit(value).unwrap_err();
        for (value, part) in [
            (
                "ghp_abcdefgh",
                "is a personal access token, where a JIT configuration belongs",
            ),
            ("github_pat_abc", "fine-grained"),
            ("-----BEGIN RSA PRIVATE KEY-----", "private key"),
            (REGISTRATION, "put it under registration_token"),
            (
                r#"{"encoded_jit_config":"x"}"#,
                "take the value of encoded_jit_config",
            ),
            (&encode(&good), "base64 twice"),
            (&good[..good.len() - 40], "cut off"),
            (&encode(r#"{".runner":"e30="}"#), "without .credentials"),
        ] {
            assert!(fault(value).contains(part), "{value}: {}", fault(value));
            assert!(!fault(value).contains("abcdefgh"));
        }
    }

    #[test]
    fn a_jit_configuration_over_several_lines_is_put_on_one() {
        let good = configuration("{}");
        let broken = format!("{}\n{}", &good[..76], &good[76..]);
        assert_eq!(jit(&broken), Ok(Some(good)));
    }

    #[test]
    fn an_expired_access_token_in_a_jit_configuration_is_found() {
        let credentials =
            |token| format!(r#"{{"Scheme":"OAuthAccessToken","Data":{{"token":"{token}"}}}}"#);
        let expired = configuration(&credentials("eyJhbGciOiJub25lIn0.eyJleHAiOjF9.c2ln"));
        let fault = jit(&expired).unwrap_err();
        assert!(fault.contains("expired at 1970-01-01T00:00:01Z"), "{fault}");
        // {"exp":99999999999}
        let good = configuration(&credentials(
            "eyJhbGciOiJub25lIn0.eyJleHAiOjk5OTk5OTk5OTk5fQ.c2ln",
        ));
        assert_eq!(jit(&good), Ok(None));
    }

    #[test]
    fn a_registration_token_is_told_from_everything_else() {
        assert_eq!(registration(REGISTRATION), Ok(None));
        let fault = |value: &str| registration(value).unwrap_err();
        let jit = configuration("{}");
        for (value, part) in [
            (
                "ghp_abcdefgh",
                "is a personal access token, where a registration token belongs",
            ),
            ("ghs_abc", "installation token"),
            (&jit, "put it under jitconfig"),
            ("eyJhbGciOiJub25lIn0.eyJleHAiOjF9.c2ln", "a JSON web token"),
            (&encode(REGISTRATION), "base64 twice"),
            (&encode(&format!("{REGISTRATION}\n")), "base64 twice"),
            ("two words", "white space"),
            ("{}", "without a \"token\""),
        ] {
            assert!(fault(value).contains(part), "{value}: {}", fault(value));
        }
    }

    #[test]
    fn the_apis_whole_answer_is_taken_and_its_time_is_kept() {
        let answer = |end: &str| format!(r#"{{"token":"{REGISTRATION}","expires_at":"{end}"}}"#);
        let good = registration(&answer("2999-01-01T00:00:00.000-08:00"));
        assert_eq!(good, Ok(Some(REGISTRATION.to_owned())));
        let fault = registration(&answer("2020-01-22T12:13:35.123-08:00")).unwrap_err();
        assert!(fault.contains("expired at 2020-01-22T20:13:35Z"), "{fault}");
        assert!(
            fault.contains("one hour") && !fault.contains(REGISTRATION),
            "{fault}"
        );
    }
}
