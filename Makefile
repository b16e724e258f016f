# Nothing is written outside .venv/ and build/, but for the Debian packages
# that are missing: scripts/apt_install says so and installs them.

# The Python to build for and to embed.
PYTHON ?= python3
# How many tests run at once.
JOBS ?= 4
# Where make loader puts it: the folder of another virtual environment, as its
# "resty-ffi libdir" says; without it that of .venv.
LIBDIR :=
LOADERS = "$(or $(LIBDIR),$$(resty-ffi libdir))"
# true turns compiler warnings into errors, as CI does.
WERROR ?= false

# How long each target is fuzzed.
FUZZ_SECONDS ?= 4

VENV := .venv
ASAN_VENV := build/asan-venv
PLAIN := build/plain$(if $(filter-out .venv,$(VENV)),-$(notdir $(VENV)))

BUILD_PACKAGES := gcc libc6-dev 'libluajit2-5.1-dev|libluajit-5.1-dev' nginx-dev pkgconf \
	python3-dev python3-venv 'default-jdk-headless|openjdk-17-jdk-headless'
RUN_PACKAGES := nginx libnginx-mod-http-lua
TEST_PACKAGES := $(RUN_PACKAGES) chromium curl etcd-server libnginx-mod-stream maven openssl \
	procps valgrind $(if $(shell command -v node),,nodejs)
BENCH_PACKAGES := $(TEST_PACKAGES) wrk
# Debian 12, 13 and what will be 14.
SUITES ?= bookworm trixie sid
DEB_PACKAGES := $(BUILD_PACKAGES) build-essential debhelper dh-python dpkg-dev meson
MODEL_PACKAGES := gcc libc6-dev spin
FUZZ_PACKAGES := clang libclang-rt-dev llvm
LINT_PACKAGES := lua-check shellcheck
RUSTFMT_PACKAGE := 'rustfmt-web|rustfmt'

# ThreadSanitizer and a fully randomised address space do not get along.
FIXED_LAYOUT := $(shell setarch -R true 2>/dev/null && echo --wrap "'setarch -R'")

# Installs a go that is new enough when PATH has none, and runs it.
GO := $(CURDIR)/scripts/go
GO_EXAMPLES := $(notdir $(patsubst %/,%,$(dir $(wildcard examples/go/*/go.mod))))
GO_MODULES := sdk/go $(addprefix examples/go/,$(GO_EXAMPLES)) \
	$(addprefix t/apps/go/,go_apps go_cfg go_raw)

# Cargo.lock decides which crates, and .cargo/config.toml where they are built.
CARGO := cargo --quiet
# The examples in Rust; t/harness/rust.py builds what is under t.
RUST_EXAMPLES := $(patsubst examples/rust/%/Cargo.toml,-p %,$(wildcard examples/rust/*/Cargo.toml))

# Build tools are those of .venv; an ordinary user's PATH lacks nginx's folder.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH):/usr/sbin

# $(call install,VENV,BUILD_FOLDER,MESON_OPTIONS): builds and installs.
define install
@scripts/unpack_libnode
PATH="$(CURDIR)/$1/bin:$$PATH" $1/bin/pip install --quiet --no-build-isolation \
	--no-deps . --config-settings=build-dir=$2 \
	$(patsubst %,--config-settings=setup-args=%,-Dwerror=$(WERROR) $3)
endef

# $(call pytest,VENV)
define pytest
$1/bin/python -m pytest -n $(JOBS)
endef

.NOTPARALLEL:

.PHONY: help
help: ## list the verbs
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: demo
demo: $(VENV)/build.stamp ## start nginx with a Python handler and show what it does
	@scripts/apt_install $(RUN_PACKAGES)
	$(call install,$(VENV),$(PLAIN))
	@$(VENV)/bin/python examples/demo.py

.PHONY: loader
loader: $(VENV)/build.stamp ## build the loader of another Python, PYTHON=/path/to/python3.12
	$(if $(LIBDIR),,$(call install,$(VENV),$(PLAIN)))
	@command -v $(PYTHON) >/dev/null || { echo "there is no $(PYTHON)" >&2; exit 1; }
	@ls $(LOADERS)/libffi_python3.so >/dev/null || \
		{ echo 'LIBDIR must be what "resty-ffi libdir" says' >&2; exit 1; }
	meson setup --reconfigure build/loader-$(notdir $(PYTHON)) -Dwerror=$(WERROR) \
		-Dloader-for="$$(command -v $(PYTHON))" -Dloader-dir="$$(realpath $(LOADERS))"
	meson install -C build/loader-$(notdir $(PYTHON))

.PHONY: examples
examples: $(GO_EXAMPLES:%=build/examples/lib%.so) examples-rust ## build the examples that are libraries

.PHONY: examples-rust
examples-rust:
	@scripts/cargo_install
	$(CARGO) build --locked --release $(RUST_EXAMPLES)

# go knows what is up to date.
.PHONY: $(GO_EXAMPLES:%=build/examples/lib%.so)
$(GO_EXAMPLES:%=build/examples/lib%.so): build/examples/lib%.so:
	$(GO) -C examples/go/$* build -buildmode=c-shared -o $(CURDIR)/$@ .

.PHONY: test
test: unit model fuzz tsan asan e2e ## run every test

.PHONY: unit
unit: $(VENV)/test.stamp ## test the parts that need no nginx
	$(call install,$(VENV),$(PLAIN))
	$(VENV)/bin/meson test -C $(PLAIN) --print-errorlogs
	set -e; for module in $(GO_MODULES); do $(GO) -C $$module test ./...; done
	$(GO) -C sdk/go test -race ./...
	$(CARGO) test --locked --workspace --all-features

.PHONY: model
model: ## check that no wake-up is lost, whatever the order of steps
	@scripts/apt_install $(MODEL_PACKAGES)
	@ngx_module/model/check build/model

.PHONY: fuzz
fuzz: $(VENV)/build.stamp ## give what parses and checks made up inputs, FUZZ_SECONDS=n each
	@scripts/apt_install $(FUZZ_PACKAGES)
	test -d build/fuzz || CC=clang $(VENV)/bin/meson setup build/fuzz -Dfuzz=true \
		-Db_sanitize=address,undefined -Db_lundef=false -Dloader-nodejs=disabled
	$(VENV)/bin/meson compile -C build/fuzz fuzz
	@scripts/fuzz build/fuzz $(FUZZ_SECONDS)

.PHONY: e2e
e2e: $(VENV)/test.stamp examples ## test end to end
	$(call install,$(VENV),$(PLAIN))
	$(call pytest,$(VENV))

.PHONY: asan
asan: $(ASAN_VENV)/test.stamp ## the same under AddressSanitizer
	$(call install,$(ASAN_VENV),build/asan,-Db_sanitize=address -Db_lundef=false)
	$(ASAN_VENV)/bin/meson test -C build/asan --print-errorlogs
	RESTY_FFI_ASAN=1 $(call pytest,$(ASAN_VENV))

.PHONY: matrix
matrix: $(SUITES:%=matrix-%) ## test on Debian 12, 13 and sid, SUITES=sid on one; as root

.PHONY: $(SUITES:%=matrix-%)
$(SUITES:%=matrix-%): matrix-%:
	@scripts/apt_install debootstrap
	scripts/on_debian $* make unit e2e JOBS=$(JOBS) WERROR=true

.PHONY: deb
deb: ## build Debian packages in build/deb
	@scripts/apt_install $(DEB_PACKAGES)
	rm -rf build/deb
	mkdir -p build/deb/resty-ffi
	tar -c --exclude=./build --exclude=./.venv --exclude=./.git . | tar -x -C build/deb/resty-ffi
	cd build/deb/resty-ffi && PATH=/usr/sbin:/usr/bin:/sbin:/bin \
		dpkg-buildpackage --build=binary --no-sign --jobs=$(JOBS)

.PHONY: trydeb
trydeb: $(SUITES:%=trydeb-%) ## build and try them on fresh ones of SUITES; as root

.PHONY: $(SUITES:%=trydeb-%)
$(SUITES:%=trydeb-%): trydeb-%:
	@scripts/apt_install debootstrap
	scripts/on_debian $* make deb JOBS=$(JOBS)
	rm -rf build/debian/$*-fresh
	scripts/on_debian $*-fresh true
	cp build/debian/$*/usr/src/resty-ffi/build/deb/*.deb build/debian/$*-fresh/tmp
	scripts/on_debian $*-fresh scripts/try_deb /tmp

.PHONY: soak
soak: $(VENV)/test.stamp ## all languages in one worker under load, for ten minutes
	$(call install,$(VENV),$(PLAIN))
	RESTY_FFI_SOAK=600 $(VENV)/bin/python -m pytest t/test_together.py

.PHONY: stress
stress: $(ASAN_VENV)/test.stamp ## a random schedule under AddressSanitizer, SEED=n repeats one
	$(call install,$(ASAN_VENV),build/asan,-Db_sanitize=address -Db_lundef=false)
	RESTY_FFI_ASAN=1 RESTY_FFI_STRESS=180 RESTY_FFI_SEED=$(SEED) \
		$(ASAN_VENV)/bin/python -m pytest -s t/test_stress.py

.PHONY: tsan
tsan: $(VENV)/test.stamp ## test the parts that need no nginx under ThreadSanitizer
	test -d build/tsan || $(VENV)/bin/meson setup build/tsan \
		-Dwerror=$(WERROR) -Db_sanitize=thread -Db_lundef=false
	$(VENV)/bin/meson test -C build/tsan --print-errorlogs $(FIXED_LAYOUT)

.PHONY: lint
lint: $(VENV)/lint.stamp ## check style and types
	@scripts/apt_install $(LINT_PACKAGES)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	luacheck --quiet lua t bench
	shellcheck .ci/run debian/tests/http ngx_module/model/check \
		$(addprefix scripts/,apt_install cargo_install clippy fuzz go on_debian try_deb unpack_libnode) \
		$(addprefix java_loader/,build_jar find_jdk) t/tools/*
	set -e; for module in $(GO_MODULES); do $(GO) -C $$module vet ./...; done
	test -z "$$($$($(GO) env GOROOT)/bin/gofmt -l sdk examples t | tee /dev/stderr)"
	@scripts/cargo_install
	@cargo fmt --version >/dev/null 2>&1 || scripts/apt_install $(RUSTFMT_PACKAGE)
	cargo fmt --all --check
	scripts/clippy --locked --workspace --all-targets --all-features
	scripts/clippy --locked --all-targets -p resty-ffi
	@command -v npm >/dev/null || scripts/apt_install npm
	@mkdir -p build/npm
	npm install --silent --no-save --prefix build/npm eslint@9 typescript@5 @types/node@18
	build/npm/node_modules/.bin/eslint --config nodejs_loader/eslint.config.mjs \
		nodejs_loader examples/nodejs t/apps
	build/npm/node_modules/.bin/tsc --project nodejs_loader/test

.PHONY: format
format: $(VENV)/lint.stamp ## format the Python, Go and Rust files
	$(VENV)/bin/ruff format .
	$$($(GO) env GOROOT)/bin/gofmt -w sdk examples t
	$(VENV)/bin/ruff check --fix .
	cargo fmt --all

.PHONY: bench
bench: $(VENV)/bench.stamp ## compare ways of calling, and what a call adds to a request
	@scripts/apt_install $(BENCH_PACKAGES)
	$(call install,$(VENV),$(PLAIN))
	@$(VENV)/bin/python bench/run.py

.PHONY: plots
plots: $(VENV)/bench.stamp ## draw what make bench has measured
	$(VENV)/bin/python bench/plots.py

.PHONY: instructions
instructions: $(VENV)/test.stamp ## count the instructions of a call, which a test compares with
	$(call install,$(VENV),$(PLAIN))
	$(VENV)/bin/python bench/instructions.py

.PHONY: clean
clean: ## remove what was built
	rm -rf .venv build

%/bin/pip:
	@scripts/apt_install $(BUILD_PACKAGES)
	$(PYTHON) -m venv $*
	$@ install --quiet --upgrade pip

%/build.stamp: %/bin/pip pyproject.toml
	$< install --quiet --group build
	@touch $@

%/test.stamp: %/build.stamp
	@scripts/apt_install $(TEST_PACKAGES)
	@scripts/cargo_install
	$*/bin/pip install --quiet --group test
	@touch $@

%/bench.stamp: %/test.stamp
	$*/bin/pip install --quiet --group bench
	@touch $@

%/lint.stamp: %/test.stamp
	$*/bin/pip install --quiet --group lint
	@touch $@

.PRECIOUS: %/bin/pip %/build.stamp
