group "default" {
  description = "all images"
  targets = ["web", "db"]
}
variable "TAG" { default = "latest" }
variable "REPO" {}
target "web" {
  description = "the site"
  context = "./web/"
  dockerfile = "Dockerfile.web"
  tags = ["${REPO}web:${TAG}", "web"]
  args = { A = "x<y>&z", B = 3, C = true, D = null, E = "$${HOME} %%{x}" }
  labels = { "org.opencontainers.image.source" = "https://example.org" }
  platforms = ["linux/amd64", "linux/arm64", "linux/amd64"]
  cache-from = ["user/app:cache", "type=gha,scope=web", { type = "registry", ref = "user/app:b" }]
  cache-to = ["type=inline"]
  secret = ["id=token,env=TOKEN", { id = "file", src = "./docker-bake.hcl" }]
  ssh = ["default", { id = "key" }]
  output = ["type=image,push=true,\"name=a,b\""]
  attest = ["type=provenance,mode=max", { type = "sbom", disabled = true }]
  annotations = ["index:a=b"]
  no-cache = true
  pull = false
  network = "host"
  extra-hosts = { h = "1.2.3.4" }
  ulimits = ["nofile=1024:1024"]
  shm-size = "128m"
  entitlements = ["security.insecure"]
}
target "db" {
  inherits = ["web"]
  dockerfile-inline = <<EOT
FROM alpine
RUN echo ${TAG} > /x
EOT
  tags = ["db"]
  no-cache-filter = ["a"]
  target = "final"
}
