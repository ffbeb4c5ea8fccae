# shellcheck shell=bash
# Reading command lines.

# take VARIABLE OPTION VALUE…
take() {
    (($# > 2)) || die 64 "$2 needs a value; --help says which."
    printf -v "$1" '%s' "$3"
}

# reject_option ARGUMENT
reject_option() { die 64 "unknown option \"$1\"; --help lists what there is."; }
