target "app" {
  name = "app-${item.name}-${replace(version, ".", "-")}"
  matrix = {
    item = [{ name = "a", base = "alpine" }, { name = "b", base = "debian" }]
    version = ["1.0"]
  }
  args = { BASE = item.base, VERSION = version }
  tags = ["app:${item.name}-${version}"]
}
target "single" {
  matrix = { x = ["one"] }
  args = { X = x }
}
group "default" { targets = ["app", "single"] }
