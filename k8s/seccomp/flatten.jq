# Makes buildah.json from the default profile of Docker and containerd. README.md describes how to run it, and why it is flat.

["clone", "unshare", "mount", "umount2", "chroot"] as $added
| ["amd64", "x86", "x32", "arm64", "arm"] as $arches
# The rules that the profile grants to a container without any of the capabilities in its conditions.
| [.syscalls[]
    | select(.includes.caps | not)
    | select(.includes.arches // $arches | any(IN($arches[])))
    | select(.action == "SCMP_ACT_ALLOW" and .names != ["clone"])] as $granted
| {
    defaultAction,
    # ENOSYS: if a newer call is refused, the program uses the older one, as on an older kernel.
    defaultErrnoRet: 38,
    architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
    syscalls: [
      {names: $added, action: "SCMP_ACT_ALLOW"},
      {names: ([$granted[] | select(.args | not) | .names[]] | unique | . - $added - ["prlimit64"]), action: "SCMP_ACT_ALLOW"},
      # Only the process's own limits. Otherwise a job could set those of PID 1, which has the same user.
      {names: ["prlimit64"], action: "SCMP_ACT_ALLOW", args: [{index: 0, value: 0, op: "SCMP_CMP_EQ"}]},
      ($granted[] | select(.args) | {names, action, args})
    ]
  }
