# Short commands for people. Each brings what it needs: Debian packages and ggml (scripts/setup), then the build by CMake presets.
#   make speak TEXT="Good morning." OUT=morning.wav    make test    make build    make install PREFIX=/usr/local
#   make asan    make tsan    make fuzz FUZZ_SECONDS=20    make tidy    make format    make docs    make ci    make clean
TEXT ?= Good morning.
OUT ?= morning.wav
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 20
export TEXT OUT PREFIX

# Fewer seconds for the second build where ccache happens to be installed; nothing needs it.
ifneq ($(shell command -v ccache 2>/dev/null),)
export CMAKE_C_COMPILER_LAUNCHER ?= ccache
export CMAKE_CXX_COMPILER_LAUNCHER ?= ccache
endif

.DEFAULT_GOAL := build
.PHONY: setup build speak test asan tsan fuzz tidy format ci docs install clean distclean

setup:
	@scripts/setup

# The program: build/csm.
build: setup
	@scripts/build release csm_program

speak: build
	@printf '%s' "$$TEXT" | build/csm speak - -o "$$OUT"

test: setup
	@scripts/build release all
	@ctest --preset release

asan tsan: setup
	@scripts/build $@ all
	@ctest --preset $@

# Searches for new failing inputs for FUZZ_SECONDS per target, with libFuzzer.
fuzz:
	@scripts/setup --clang
	@scripts/build clang-fuzz fuzz_targets
	@scripts/fuzz $(FUZZ_SECONDS)

tidy:
	@scripts/setup --clang
	@scripts/build dev all
	@run-clang-tidy -quiet -p build-dev '/(src|apps|include|examples)/.*'

format:
	@scripts/setup --clang
	@git ls-files '*.h' '*.cpp' | xargs clang-format -i

ci:
	@.ci/run

# docs/configuration.md, from the program's table of settings.
docs: build
	@build/csm config --markdown > docs/configuration.md

install: setup
	@scripts/build release csm_program "$$PREFIX"
	@cmake --install build --prefix "$$PREFIX"

clean:
	rm -rf build build-*

# Also what scripts/setup brought, but not Debian packages.
distclean: clean
	rm -rf .deps
