variable "TAG" { default = "two" }
target "default" {
  args = { A = "2" }
  cache-from = ["y", "x"]
  output = ["type=docker"]
}
