#!/usr/bin/env bash
# Installs llmock, and Prism where there is OpenAI's description of its API to check against (SETRIGHT_OPENAI_SPEC),
# into .venv/contract. Where that cannot be done the tests that need them are skipped and say so.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
there=.venv/contract

if ! command -v llmock >/dev/null && [[ ! -x $there/llmock/bin/llmock ]]; then
    if ! { .venv/bin/python -m venv "$there/llmock" &&
        timeout 60 "$there/llmock/bin/python" -m pip install --quiet --disable-pip-version-check --retries 1 \
            --timeout 10 llmock==0.2.2; } \
        >/dev/null 2>&1; then
        rm -rf "$there/llmock"
        echo "llmock cannot be installed: the tests against it will be skipped."
    fi
fi

[[ -f ${SETRIGHT_OPENAI_SPEC:-} ]] || exit 0
if ! command -v prism >/dev/null && [[ ! -x $there/prism/node_modules/.bin/prism ]]; then
    if ! { command -v npm && timeout 120 npm install --silent --no-audit --no-fund --prefix "$there/prism" \
        @stoplight/prism-cli@5.14.2; } >/dev/null 2>&1; then
        rm -rf "$there/prism"
        echo "Prism cannot be installed: the tests of the contract will be skipped."
    fi
fi
