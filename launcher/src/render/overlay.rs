//! The three choices that select an overlay of `k8s/overlays`: flavor, shape and profile.

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant),* }

        impl $name {
            /// Returns the name that `k8s/overlays` and the command line use.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(format!("expected one of {}", [$($text),*].join(", "))),
                }
            }
        }
    };
}

choice! {
    /// The CI vendor's runner.
    Flavor {
        /// GitHub Actions.
        Github = "github",
        /// CircleCI.
        Circleci = "circleci",
    }
}
choice! {
    /// Whether the builder has a container of its own.
    Shape {
        /// The builder runs in a container beside the job's.
        Split = "split",
        /// The job and the builder share a container.
        Single = "single",
    }
}
choice! {
    /// The kind of user namespace that the nodes offer.
    Profile {
        /// Unprivileged user namespaces, user_namespaces(7).
        Rootless = "rootless",
        /// Pods with a user namespace of their own (`hostUsers: false`).
        Userns = "userns",
    }
}

impl Flavor {
    /// Returns the key of the Secret that holds the runner's token.
    #[must_use]
    pub const fn secret_key(self) -> &'static str {
        match self {
            Self::Github => "jitconfig",
            Self::Circleci => "resource_class_token",
        }
    }
}
