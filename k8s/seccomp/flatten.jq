# Makes buildah.json from the default profile of Docker and containerd; README.md says how to run it, and why it is flat.

["clone", "unshare", "mount", "umount2", "chroot"] as $added
| ["amd64", "x86", "x32", "arm64", "arm"] as $arches
# What the profile grants to a container that has none of the capabilities it asks about.
| [.syscalls[]
    | select(.includes.caps | not)
    | select(.includes.arches // $arches | any(IN($arches[])))
    | select(.action == "SCMP_ACT_ALLOW" and .names != ["clone"])] as $granted
| {
    defaultAction,
    # ENOSYS: a program that asks for a newer call than it may have takes the older one, as on an older kernel.
    defaultErrnoRet: 38,
    architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
    syscalls: [
      {names: $added, action: "SCMP_ACT_ALLOW"},
      {names: ([$granted[] | select(.args | not) | .names[]] | unique | . - $added - ["prlimit64"]), action: "SCMP_ACT_ALLOW"},
      # One's own limits only: those of PID 1, of the same user, are no job's business.
      {names: ["prlimit64"], action: "SCMP_ACT_ALLOW", args: [{index: 0, value: 0, op: "SCMP_CMP_EQ"}]},
      ($granted[] | select(.args) | {names, action, args})
    ]
  }
