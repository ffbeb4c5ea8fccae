//! A hash of texts.

/// Returns a hash of the bodies of a step: 128 bits, because a cache compares many steps. It is no signature: only a job that
/// may write the cache could make use of a collision. A cache outlives a release, so the hash must not depend on one.
///
/// Source: FNV-1a, draft-eastlake-fnv, sections 2 and 5.
pub(super) fn hash<'a>(bodies: impl Iterator<Item = &'a str>) -> String {
    let mut hash = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128;
    for body in bodies {
        let length = (body.len() as u64).to_le_bytes();
        for byte in length.into_iter().chain(body.bytes()) {
            hash = (hash ^ u128::from(byte)).wrapping_mul((1 << 88) + 0x13b);
        }
    }
    format!("{hash:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache has these, so they stay.
    #[test]
    fn hashes_are_those_of_earlier_releases() {
        for (bodies, wanted) in [
            (&[][..], "6c62272e07bb014262b821756295c58d"),
            (&["a\n"], "87957b36519e7be952e131c813739fd0"),
            (&["a\n", "b\n"], "9c324426b0087d8cf5ebf4afc9edf0be"),
            (&["a\nb\n", ""], "3d42f31bd0dc23cdcc721f15334e23c2"),
        ] {
            assert_eq!(hash(bodies.iter().copied()), wanted, "{bodies:?}");
        }
    }
}
