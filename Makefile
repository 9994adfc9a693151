# make run: everything on embedded defaults.   make test: what pip alone can test.
# make check: lint, types and all tests.       make bench: figures beside their floors.
# make fuzz: 10,000 requests and more that the API's description permits, or not (schemathesis).
# make screenshots: the page's views as docs/*.png.
# make cluster: faults on many machines, as network namespaces; as root, about 20 minutes.
# make soak: 200 clients and faults on one machine, some minutes.   make fuzz: more cases of properties.
# make audit: licences of what is installed, known vulnerabilities; a part of make check.

.PHONY: run test check bench cluster soak fuzz audit screenshots clean
.DEFAULT_GOAL := run

VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip install --quiet --disable-pip-version-check --editable
PORT ?= 8080
export PORT

# One stamp per set of packages: installed again only when their list changes.
$(VENV)/.run: setup.cfg pyproject.toml
	test -x $(PYTHON) || python3 -m venv $(VENV)
	$(PIP) .
	@touch $@

$(VENV)/.test: $(VENV)/.run
	$(PIP) '.[test]'
	@touch $@

$(VENV)/.check: $(VENV)/.test
	$(PIP) '.[test,check]'
	@touch $@

$(VENV)/.bench: $(VENV)/.test
	$(PIP) '.[test,bench]'
	@touch $@

# Finds what keeps people out of a page (MPL 2.0, used by the tests alone, never shipped).
AXE := axe-core@4.14.1
$(VENV)/axe.min.js: | $(VENV)/.check
	cd $(VENV) && tar -xzOf "$$(npm pack --silent $(AXE))" package/axe.min.js > axe.part
	@mv $(VENV)/axe.part $@

# A password for one's own machine, unless AUTH_PASSWORD is set.
instance/password: | $(VENV)/.run
	@umask 077 && $(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(12))' > $@

# Five seconds to try things with.
instance/sample.mp4: | $(VENV)/.run
	@"$$($(PYTHON) -c 'import imageio_ffmpeg as f; print(f.get_ffmpeg_exe())')" -v error \
		-f lavfi -i testsrc2=size=640x360:rate=30:duration=5 -pix_fmt yuv420p $@

run: $(VENV)/.run instance/password instance/sample.mp4
	@$(VENV)/bin/flask --app wsgi init-db
	@if [ -z "$$AUTH_PASSWORD_FILE" ]; then \
		: "$${AUTH_PASSWORD:=$$(cat instance/password)}"; export AUTH_PASSWORD; fi; \
	if [ -t 1 ]; then \
		password="$${AUTH_PASSWORD:-$$(cat "$$AUTH_PASSWORD_FILE")}"; \
		printf 'The password is %s\nPaste this into another terminal:\n\n' "$$password"; \
		printf '  curl -F videos=@%s/instance/sample.mp4 -F variations=3 ' "$(CURDIR)"; \
		printf -- '-H "Authorization: Bearer $$(curl -s -d '\''{"password":"%s"}'\'' ' "$$password"; \
		printf 'http://127.0.0.1:%s/api/auth | cut -d'\''"'\'' -f4)" ' $(PORT); \
		printf 'http://127.0.0.1:%s/api/jobs\n\n' $(PORT); \
	else \
		printf 'The password is shown on a terminal only; without AUTH_PASSWORD it is in %s\n' \
			"$(CURDIR)/instance/password"; \
	fi; \
	printf 'Open http://127.0.0.1:%s/ in a browser.\n\n' $(PORT); \
	$(VENV)/bin/flask --app wsgi worker & worker=$$!; \
	$(VENV)/bin/gunicorn wsgi:app & web=$$!; \
	trap 'kill $$worker $$web 2>/dev/null; wait' EXIT; trap 'exit' INT TERM; \
	wait $$web

test: $(VENV)/.test
	$(PYTHON) -m pytest -n 3 --dist loadfile -m 'not tools and not slow' --ignore tests/pages

check: $(VENV)/.check $(VENV)/axe.min.js
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-cache --no-logo
	$(VENV)/bin/mypy
	$(PYTHON) -m tests.audit $(if $(STRICT),--strict)
	$(PYTHON) -m pytest -n 3 --dist loadfile -m 'not slow'

# One table. STRICT=1: a goal that is missed is an error.
bench: $(VENV)/.bench
	$(PYTHON) -m benchmarks $(if $(STRICT),--strict)

# Seeds are printed; ARGS="--seed N --rounds 1" repeats a round, --longest 300 takes the store away for longer.
cluster: $(VENV)/.check
	$(PYTHON) -m tests.cluster $(ARGS)

# The seed is printed; ARGS="--seed N --seconds 600" repeats it for longer. Needs root, or sudo, for a small disk.
soak: $(VENV)/.test
	$(PYTHON) -m tests.soak $(ARGS)

# Properties of parsers, tokens, ranges and layouts, FUZZ=50 times as many cases as in make check; then
# requests by OpenAPI (schemathesis). A seed repeats a run of these: ARGS="--seed N --cases M".
fuzz: $(VENV)/.check
	FUZZ=$(or $(FUZZ),50) $(PYTHON) -m pytest -n 2 tests/fuzz
	$(PYTHON) -m tests.fuzzing $(ARGS)

# STRICT=1: a known vulnerability is an error.
audit: $(VENV)/.check
	$(PYTHON) -m tests.audit $(if $(STRICT),--strict)

screenshots: $(VENV)/.check
	$(PYTHON) -m tests.pages.screenshots

clean:
	rm -rf $(VENV) build *.egg-info
