variable "TAG" { default = "Feature/Some_Branch" }
function "slug" {
  params = [text]
  result = lower(regex_replace(text, "[^A-Za-z0-9.-]+", "-"))
}
function "tags" {
  params = [name]
  variadic_params = more
  result = concat(["${name}:${slug(TAG)}"], [for m in more : "${name}:${m}"])
}
numbers = [3, 1, 2]
target "default" {
  tags = tags("repo/app", "1", "2")
  args = {
    ABS = absolute(-3)
    ADD = add(1, 2.5)
    DIV = divide(7, 2)
    FLOOR = floor(2.7)
    POW = pow(2, 10)
    MAX = max(numbers...)
    PARSE = parseint("ff", 16)
    UPPER = upper("abc")
    TITLE = title("some words here")
    TRIM = trim("??a??", "?")
    PREFIX = trimprefix("v1.2", "v")
    SUB = substr("abcdef", 1, 3)
    JOIN = join(",", sort(["b", "a"]), ["c"])
    SPLIT = element(split("/", "a/b/c"), 1)
    FORMAT = format("%s-%03d-%.2f-%q-%v", "x", 7, 1.5, "q", [1, "a"])
    LIST = jsonencode(formatlist("%s:%d", ["a", "b"], 2))
    JSON = jsonencode({ a = [1, true, null], b = "<x>" })
    DECODED = jsondecode("{\"k\":[1,2]}").k[1]
    B64 = base64encode("hello")
    UNB64 = base64decode("aGVsbG8=")
    URL = urlencode("a b/c?d")
    COND = TAG == "x" ? "yes" : 5
    AND = and(true, false) || !false
    CMP = 1 < 2 && 2 >= 2
    COALESCE = coalesce(null, "c")
    CONTAINS = contains(["a"], "a")
    DISTINCT = jsonencode(distinct(["a", "a", "b"]))
    FLATTEN = jsonencode(flatten([["a"], [["b"], "c"]]))
    KEYS = join(",", keys({ z = 1, y = 2 }))
    VALUES = join(",", values({ z = "1", y = "2" }))
    LOOKUP = lookup({ a = "b" }, "c", "default")
    MERGE = jsonencode(merge({ a = 1 }, { b = 2 }))
    RANGE = jsonencode(range(1, 10, 3))
    REVERSE = reverse("abc")
    REVLIST = jsonencode(reverselist(["a", "b"]))
    SLICE = jsonencode(slice(["a", "b", "c"], 1, 2))
    ZIP = jsonencode(zipmap(["a", "b"], [1, 2]))
    SETS = jsonencode(setunion(["b"], ["a", "b"]))
    PRODUCT = jsonencode(setproduct(["a", "b"], ["x"]))
    CHUNK = jsonencode(chunklist(["a", "b", "c"], 2))
    REGEX = regex("[0-9]+", "ab12c")
    REGEXALL = jsonencode(regexall("[a-z]", "a1b2"))
    GROUPS = jsonencode(regex("(?P<maj>[0-9]+)\\.(?P<min>[0-9]+)", "v1.2"))
    DATE = formatdate("YYYY-MM-DD'T'hh:mm:ssZ", "2026-11-30T20:24:08+02:00")
    LONG = formatdate("EEEE, DD MMM YYYY H AA", "2026-11-30T20:24:08Z")
    ADDED = timeadd("2026-11-30T20:24:08Z", "1h30m")
    TRY = try(TAG.here, "fallback")
    CAN = can(numbers[9])
    CONVERT = jsonencode(convert(["1", "2"], list(number)))
    INDENT = indent(2, "a\nb")
    SANITIZE = sanitize("a.b/c")
    BASE = basename("/a/b.txt")
    DIR = dirname("/a/b.txt")
    LEN = length([1, 2])
    STRLEN = strlen("häß")
    HASINDEX = hasindex(["a"], 1)
    INDEXOF = indexof(["a", "b"], "b")
    SPLAT = jsonencode([{ n = "a" }, { n = "b" }][*].n)
    FOROBJ = jsonencode({ for k, v in { a = 1, b = 2 } : upper(k) => v * 2 if v > 1 })
    GROUPED = jsonencode({ for w in ["aa", "ab", "b"] : substr(w, 0, 1) => w... })
    DIRECTIVE = "%{ for n in numbers ~}\n${n};%{ endfor ~} %{ if true }y%{ else }n%{ endif }"
    ESCAPED = "%{ if true }\"q\"\t\u00e9%{ endif }"
    HEREDOC = <<-EOT
      a ${1 + 1}
        b\n
      c
    EOT
    SIGNUM = signum(-2)
    MODULO = 7 % 4
    NEG = -3 + 1
    FLOAT = 0.1 + 0.25
    BIG = 1000000 * 1000000
    CHOMP = chomp("a\n\n")
    COMPACT = jsonencode(compact(["a", "", "b"]))
    NOTEQUAL = notequal(1, 2)
    LOCAL = split("/", BAKE_LOCAL_PLATFORM)[0]
    CTX = BAKE_CMD_CONTEXT
  }
}
