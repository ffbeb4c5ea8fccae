# Makes seccomp-profile.json: jq -f profile.jq ../../seccomp/buildah.json >seccomp-profile.json
#
# The operator's object has no defaultErrnoRet: what is refused fails with EPERM there, and not with ENOSYS. C libraries need
# ENOSYS of clone3 at least, so that is said by name.
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
