target "base" { dockerfile = "base.Dockerfile" }
target "app" {
  contexts = { baseapp = "target:base", src = "./src", img = "docker-image://alpine:3", gone = "" }
  tags = ["app"]
}
