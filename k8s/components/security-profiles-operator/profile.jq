# Makes seccomp-profile.json: jq -f profile.jq ../../seccomp/buildah.json >seccomp-profile.json
#
# The operator's object has no defaultErrnoRet: a refused call fails with EPERM there, and not with ENOSYS. C libraries need
# ENOSYS at least from clone3, so a rule names it.
{
  apiVersion: "security-profiles-operator.x-k8s.io/v1",
  kind: "SeccompProfile",
  metadata: {name: "buildah"},
  spec: {
    defaultAction,
    architectures,
    syscalls: (.syscalls + [{names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38}])
  }
}
