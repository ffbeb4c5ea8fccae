variable "TAG" { default = "one" }
target "default" {
  args = { A = "1", B = TAG }
  tags = ["a:${TAG}"]
  cache-from = ["x"]
  labels = { l = "1" }
}
