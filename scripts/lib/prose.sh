# shellcheck shell=bash
# The words that mark sentences without a subject that acts (CONTRIBUTING.md, "Style").

MARKER_WORDS='nobody|somebody|whom|is none|be it|told'

# marked_lines DIRECTORY: prints each line in it that has such a word. The user `nobody` in backticks or quotes is a name, and
# the glossary lists the words. Python's `is None` is code.
marked_lines() {
    (cd "$1" && grep -rnIiwE --exclude-dir=target --exclude-dir=.git --exclude=glossary.md --exclude=prose.sh \
        --exclude=LICENSE --exclude=Cargo.lock "$MARKER_WORDS" . || true) |
        sed -E 's/([`"])nobody\1/NAME/g; s/\bis None\b/CODE/g' | grep -iE ":[0-9]+:.*\b($MARKER_WORDS)\b" || true
}

# lint_prose DIRECTORY
lint_prose() {
    local lines
    lines=$(marked_lines "$1")
    [[ -z $lines ]] || die 1 "these lines have words that CONTRIBUTING.md rules out; give the sentence a subject:
$lines"
}
