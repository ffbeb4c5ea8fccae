# shellcheck shell=bash
# The image with a virtual machine, in which the memory guard meets a kernel that kills whole containers.

VM_TAG=localhost/ci-cd-agents/vm:trixie

# It is made of Debian, whatever base the user names for the runner image.
need_for_vm() { need_for_base; }

prepare_vm() { build_toolchain_image "$VM_TAG" vm; }
