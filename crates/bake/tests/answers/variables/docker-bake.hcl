variable "PLAIN" { default = "a" }
variable "NUMBER" { default = 3 }
variable "FLAG" { default = false }
variable "LIST" {
  type = list(string)
  default = ["x"]
}
variable "MAP" {
  type = map(number)
  description = "numbers"
}
variable "OBJECT" {
  type = object({ name = string, count = optional(number) })
  default = { name = "n" }
}
variable "CHECKED" {
  default = "abc"
  validation {
    condition = CHECKED != ""
    error_message = "CHECKED is empty"
  }
}
variable "DERIVED" { default = "${PLAIN}-${NUMBER + 1}" }
constant = "c"
target "default" {
  args = {
    PLAIN = PLAIN
    NUMBER = NUMBER * 2
    FLAG = FLAG ? "on" : "off"
    LIST = join("+", LIST)
    MAP = jsonencode(MAP)
    OBJECT = OBJECT.name
    DERIVED = DERIVED
    CONSTANT = constant
    OTHER = target.other.args.X
    TAGS = join(" ", target.other.tags)
  }
}
target "other" {
  args = { X = 1 }
  tags = ["o:1", "o:2"]
}
