//! What `docker buildx imagetools create` makes of manifests. It is pure: it takes the bytes and returns bytes.
//!
//! Source of the rules: `Combine` in <https://github.com/docker/buildx/blob/master/util/imagetools/create.go>.

use serde_json::{Map, Value, json};

use super::manifest_json::{
    DOCKER_IMAGE, DOCKER_LIST, OCI_INDEX, is_list, media_type, media_type_of, platform_text,
};

/// Why no list can be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IndexError {
    /// The source is neither an image nor a list.
    #[error("{0} is neither an image nor a list of images")]
    NoImage(String),
    /// The registry has other bytes than the digest in the name.
    #[error("{name}: the registry answered with other bytes, of digest {found}")]
    OtherDigest {
        /// The name.
        name: String,
        /// The digest of the answer.
        found: String,
    },
    /// The annotation has no value, or a level that a list has not.
    #[error(
        "--annotation {0}: expected KEY=VALUE, index:KEY=VALUE or manifest-descriptor[PLATFORM]:KEY=VALUE"
    )]
    Annotation(String),
    /// A file or an argument with a descriptor is wrong.
    #[error("{0}: expected a name, a digest or a descriptor in JSON with a digest")]
    Source(String),
}

/// A manifest of a registry.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// `REGISTRY/REPOSITORY`.
    pub(crate) repository: String,
    /// The bytes.
    pub(crate) bytes: String,
    /// Media type, digest and size, and annotations and platform as far as they are known.
    pub(crate) descriptor: Value,
}

/// One manifest of a list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    /// The repository that has it.
    pub(crate) repository: String,
    /// Its descriptor.
    pub(crate) descriptor: Value,
}

/// What the sources become.
#[derive(Debug, PartialEq)]
pub(crate) enum Combined {
    /// The only source, with the same bytes.
    Same,
    /// A list.
    List {
        /// Its bytes.
        bytes: String,
        /// Its manifests.
        members: Vec<Member>,
    },
}

impl Source {
    /// Reads the bytes that a registry has under a name.
    ///
    /// # Errors
    /// [`IndexError::NoImage`].
    pub(crate) fn new(
        name: &str,
        repository: &str,
        bytes: &str,
        digest: &str,
    ) -> Result<Self, IndexError> {
        let manifest: Value = serde_json::from_str(bytes).unwrap_or_default();
        let kind = media_type(&manifest).ok_or_else(|| IndexError::NoImage(name.to_owned()))?;
        Ok(Self {
            repository: repository.to_owned(),
            descriptor: json!({"mediaType": kind, "digest": digest, "size": bytes.len()}),
            bytes: bytes.to_owned(),
        })
    }

    pub(crate) fn is_list(&self) -> bool {
        is_list(&self.descriptor)
    }

    pub(crate) fn digest(&self) -> &str {
        self.descriptor["digest"].as_str().unwrap_or_default()
    }

    fn members(&self) -> Vec<Member> {
        let member = |descriptor: &Value| Member {
            repository: self.repository.clone(),
            descriptor: descriptor.clone(),
        };
        if !self.is_list() {
            return vec![member(&self.descriptor)];
        }
        let list: Value = serde_json::from_str(&self.bytes).unwrap_or_default();
        list["manifests"]
            .as_array()
            .into_iter()
            .flatten()
            .map(member)
            .collect()
    }
}

/// Combines sources into one list, without lists in it.
///
/// # Errors
/// [`IndexError::Annotation`].
pub(crate) fn combine(
    sources: &[Source],
    annotations: &[String],
    prefer_index: bool,
) -> Result<Combined, IndexError> {
    if let [only] = sources
        && annotations.is_empty()
        && (only.is_list() || !prefer_index)
    {
        return Ok(Combined::Same);
    }
    let mut members: Vec<Member> = Vec::new();
    for member in sources.iter().flat_map(Source::members) {
        let same = |other: &&mut Member| other.descriptor["digest"] == member.descriptor["digest"];
        match members.iter_mut().find(same) {
            Some(known) => update(&mut known.descriptor, &member.descriptor),
            None => members.push(member),
        }
    }
    let mut own = Map::new();
    for annotation in annotations {
        annotate(annotation, &mut own, &mut members)?;
    }
    // Docker's lists have no annotations.
    let all_docker = members
        .iter()
        .all(|member| media_type_of(&member.descriptor) == DOCKER_IMAGE);
    let kind = if all_docker && annotations.is_empty() {
        DOCKER_LIST
    } else {
        OCI_INDEX
    };
    let manifests: Vec<&Value> = members.iter().map(|member| &member.descriptor).collect();
    let mut bytes = format!(
        r#"{{"schemaVersion":2,"mediaType":"{kind}","manifests":{}"#,
        json!(manifests)
    );
    if !own.is_empty() {
        bytes += &format!(r#","annotations":{}"#, Value::from(own));
    }
    bytes.push('}');
    Ok(Combined::List { bytes, members })
}

/// Adds what a second descriptor of the same manifest says.
fn update(known: &mut Value, other: &Value) {
    for key in ["platform", "annotations"] {
        if !other[key].is_null() {
            known[key] = other[key].clone();
        }
    }
}

fn annotate(
    text: &str,
    own: &mut Map<String, Value>,
    members: &mut [Member],
) -> Result<(), IndexError> {
    let error = || IndexError::Annotation(text.to_owned());
    let (key, value) = text.split_once('=').ok_or_else(error)?;
    let (level, key) = key.split_once(':').unwrap_or(("index", key));
    let (level, platform) = match level
        .strip_suffix(']')
        .and_then(|level| level.split_once('['))
    {
        Some((level, platform)) => (level, Some(platform)),
        None => (level, None),
    };
    match (level, platform) {
        _ if key.is_empty() => return Err(error()),
        ("index", None) => {
            own.insert(key.to_owned(), value.into());
        }
        ("manifest-descriptor", _) => {
            for member in members {
                let own = platform_text(&member.descriptor["platform"]);
                if platform.is_none_or(|platform| platform == own) {
                    let annotations = &mut member.descriptor["annotations"];
                    if !annotations.is_object() {
                        *annotations = json!({});
                    }
                    annotations[key] = value.into();
                }
            }
        }
        _ => return Err(error()),
    }
    Ok(())
}

/// A source as the user gives it: a name, a digest in the target's repository, or a descriptor in JSON.
///
/// # Errors
/// [`IndexError::Source`].
pub(crate) fn parse_source(text: &str) -> Result<(String, Value), IndexError> {
    let text = text.trim();
    if !text.starts_with('{') {
        let name = text.strip_prefix("docker://").unwrap_or(text);
        return match name {
            "" => Err(IndexError::Source(text.to_owned())),
            name => Ok((name.to_owned(), Value::Null)),
        };
    }
    let descriptor: Value = serde_json::from_str(text).unwrap_or_default();
    match descriptor["digest"].as_str() {
        Some(digest) => Ok((digest.to_owned(), descriptor.clone())),
        None => Err(IndexError::Source(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::manifest_json::OCI_IMAGE;
    use super::*;

    fn image(kind: &str, digest: &str, platform: Value) -> Source {
        let bytes = json!({"schemaVersion": 2, "mediaType": kind, "config": {}}).to_string();
        let mut source = Source::new("n", "r.example/a", &bytes, digest).unwrap();
        source.descriptor["platform"] = platform;
        source
    }

    fn list(kind: &str, digests: &[&str]) -> Source {
        let manifests: Vec<Value> = digests
            .iter()
            .map(|digest| json!({"mediaType": OCI_IMAGE, "digest": digest, "size": 1, "urls": ["u"]}))
            .collect();
        let bytes =
            json!({"schemaVersion": 2, "mediaType": kind, "manifests": manifests}).to_string();
        Source::new("n", "r.example/b", &bytes, "sha256:l").unwrap()
    }

    fn made(sources: &[Source], annotations: &[&str]) -> Value {
        let annotations: Vec<String> = annotations.iter().map(ToString::to_string).collect();
        match combine(sources, &annotations, true).unwrap() {
            Combined::List { bytes, .. } => serde_json::from_str(&bytes).unwrap(),
            Combined::Same => Value::Null,
        }
    }

    fn digests(list: &Value) -> Vec<&str> {
        let all = list["manifests"].as_array().unwrap().iter();
        all.map(|one| one["digest"].as_str().unwrap()).collect()
    }

    #[test]
    fn a_single_source_keeps_its_bytes() {
        let list = list(OCI_INDEX, &["sha256:a"]);
        let image = image(OCI_IMAGE, "sha256:a", Value::Null);
        let same = |source: &Source, prefer| {
            combine(std::slice::from_ref(source), &[], prefer) == Ok(Combined::Same)
        };
        assert!(same(&list, true) && same(&list, false) && same(&image, false));
        assert!(!same(&image, true));
    }

    #[test]
    fn lists_are_flattened_and_no_manifest_is_there_twice() {
        let platform = json!({"os": "linux", "architecture": "arm64"});
        let sources = [
            list(OCI_INDEX, &["sha256:a", "sha256:b"]),
            image(OCI_IMAGE, "sha256:b", platform.clone()),
            image(OCI_IMAGE, "sha256:c", Value::Null),
        ];
        let list = made(&sources, &[]);
        assert_eq!(digests(&list), ["sha256:a", "sha256:b", "sha256:c"]);
        assert_eq!(list["manifests"][1]["platform"], platform);
        // What the list says of a manifest stays.
        assert_eq!(list["manifests"][1]["urls"], json!(["u"]));
        let Combined::List { members, .. } = combine(&sources, &[], true).unwrap() else {
            panic!("no list");
        };
        assert_eq!(
            (
                members[0].repository.as_str(),
                members[2].repository.as_str()
            ),
            ("r.example/b", "r.example/a")
        );
    }

    #[test]
    fn only_images_of_docker_make_a_list_of_docker() {
        let docker = image(DOCKER_IMAGE, "sha256:a", Value::Null);
        let oci = image(OCI_IMAGE, "sha256:b", Value::Null);
        let kind = |sources: &[Source], annotations: &[&str]| {
            made(sources, annotations)["mediaType"].clone()
        };
        assert_eq!(kind(std::slice::from_ref(&docker), &[]), DOCKER_LIST);
        assert_eq!(kind(&[docker.clone(), oci], &[]), OCI_INDEX);
        assert_eq!(kind(&[docker], &["a=b"]), OCI_INDEX);
    }

    #[test]
    fn annotations_have_their_level() {
        let arm = json!({"os": "linux", "architecture": "arm64", "variant": "v8"});
        let sources = [
            image(OCI_IMAGE, "sha256:a", arm),
            image(OCI_IMAGE, "sha256:b", Value::Null),
        ];
        let list = made(
            &sources,
            &[
                "a=b=c",
                "index:d=e",
                "manifest-descriptor[linux/arm64/v8]:f=g",
                "manifest-descriptor:h=i",
            ],
        );
        assert_eq!(list["annotations"], json!({"a": "b=c", "d": "e"}));
        assert_eq!(
            list["manifests"][0]["annotations"],
            json!({"f": "g", "h": "i"})
        );
        assert_eq!(list["manifests"][1]["annotations"], json!({"h": "i"}));
        for wrong in ["a", "manifest:a=b", "index:=b", "index[linux/arm64]:a=b"] {
            let error = combine(&sources, &[wrong.to_owned()], true).unwrap_err();
            assert_eq!(error, IndexError::Annotation(wrong.to_owned()));
        }
    }

    #[test]
    fn only_images_and_lists_are_sources() {
        for bytes in [
            "",
            "{}",
            r#"{"schemaVersion":1}"#,
            r#"{"mediaType":"text/plain","config":{}}"#,
        ] {
            assert!(Source::new("n", "r", bytes, "d").is_err(), "{bytes}");
        }
        let plain = r#"{"schemaVersion":2,"config":{},"layers":[]}"#;
        assert_eq!(
            Source::new("n", "r", plain, "d").unwrap().descriptor["mediaType"],
            OCI_IMAGE
        );
    }

    #[test]
    fn a_source_may_be_a_descriptor() {
        assert_eq!(
            parse_source(" docker://a/b:1\n"),
            Ok(("a/b:1".to_owned(), Value::Null))
        );
        let (name, descriptor) =
            parse_source(r#"{"digest":"sha256:a","annotations":{"k":"v"}}"#).unwrap();
        assert_eq!(
            (name.as_str(), &descriptor["annotations"]["k"]),
            ("sha256:a", &json!("v"))
        );
        assert!(parse_source("{}").is_err() && parse_source("").is_err());
    }
}
