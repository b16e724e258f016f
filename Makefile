# Nothing is written outside .venv/ and build/, but for the Debian packages
# that are missing: scripts/apt_install says so and installs them.

# The Python to build for and to embed.
PYTHON ?= python3
# How many tests run at once.
JOBS ?= 4
# true turns compiler warnings into errors, as CI does.
WERROR ?= false

VENV := .venv
ASAN_VENV := build/asan-venv
PLAIN := build/plain$(if $(filter-out .venv,$(VENV)),-$(notdir $(VENV)))

BUILD_PACKAGES := gcc libc6-dev 'libluajit2-5.1-dev|libluajit-5.1-dev' nginx-dev pkgconf \
	python3-dev python3-venv 'default-jdk-headless|openjdk-17-jdk-headless'
RUN_PACKAGES := nginx libnginx-mod-http-lua
TEST_PACKAGES := $(RUN_PACKAGES) libnginx-mod-stream maven
BENCH_PACKAGES := $(TEST_PACKAGES) wrk
LINT_PACKAGES := lua-check shellcheck

# ThreadSanitizer and a fully randomised address space do not get along.
FIXED_LAYOUT := $(shell setarch -R true 2>/dev/null && echo --wrap "'setarch -R'")

# Build tools are those of .venv; an ordinary user's PATH lacks nginx's folder.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH):/usr/sbin

# $(call install,VENV,BUILD_FOLDER,MESON_OPTIONS): builds and installs.
define install
$1/bin/pip install --quiet --no-build-isolation --no-deps . \
	--config-settings=build-dir=$2 \
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
	meson setup --reconfigure build/loader-$(notdir $(PYTHON)) -Dwerror=$(WERROR) \
		-Dloader-for="$$(command -v $(PYTHON))" -Dloader-dir="$$(resty-ffi libdir)"
	meson install -C build/loader-$(notdir $(PYTHON))

.PHONY: test
test: unit tsan asan e2e ## run every test

.PHONY: unit
unit: $(VENV)/test.stamp ## test the parts that need no nginx
	$(call install,$(VENV),$(PLAIN))
	$(VENV)/bin/meson test -C $(PLAIN) --print-errorlogs

.PHONY: e2e
e2e: $(VENV)/test.stamp ## test end to end
	$(call install,$(VENV),$(PLAIN))
	$(call pytest,$(VENV))

.PHONY: asan
asan: $(ASAN_VENV)/test.stamp ## the same under AddressSanitizer
	$(call install,$(ASAN_VENV),build/asan,-Db_sanitize=address -Db_lundef=false)
	$(ASAN_VENV)/bin/meson test -C build/asan --print-errorlogs
	RESTY_FFI_ASAN=1 $(call pytest,$(ASAN_VENV))

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
	shellcheck .ci/run scripts/apt_install java_loader/build_jar java_loader/find_jdk

.PHONY: format
format: $(VENV)/lint.stamp ## format the Python files
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

.PHONY: bench
bench: $(VENV)/test.stamp ## compare ways of calling, and what a call adds to a request
	@scripts/apt_install $(BENCH_PACKAGES)
	$(call install,$(VENV),$(PLAIN))
	@$(VENV)/bin/python bench/run.py

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
	$*/bin/pip install --quiet --group test
	@touch $@

%/lint.stamp: %/test.stamp
	$*/bin/pip install --quiet --group lint
	@touch $@

.PRECIOUS: %/bin/pip %/build.stamp
