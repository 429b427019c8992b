#!/usr/bin/env bash
# Installs what tests compare us with, into .venv/contract: llmock by pip; axe by npm; and, by npm too, Prism where
# there is OpenAI's description of its API to check against (SETRIGHT_OPENAI_SPEC, or beside the folder of SETRIGHT_DATA).
# The lock files in tests/contract_tools name every npm package with its checksum. Where something cannot be installed,
# the tests that need it are skipped and say so.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
there=.venv/contract

install_llmock() {
    if command -v llmock >/dev/null || [[ -x $there/llmock/bin/llmock ]]; then return; fi
    if ! { .venv/bin/python -m venv "$there/llmock" &&
        timeout 180 "$there/llmock/bin/python" -m pip install --quiet --disable-pip-version-check --retries 1 \
            --timeout 10 llmock==0.2.2; } \
        >/dev/null 2>&1; then
        rm -rf "$there/llmock"
        echo "llmock cannot be installed: the tests against it will be skipped."
    fi
}

install_by_npm() { # its folder, and what it is called
    if cmp -s "tests/contract_tools/$1/package-lock.json" "$there/$1/installed.json"; then return; fi
    rm -rf "${there:?}/$1"
    mkdir -p "$there/$1"
    cp "tests/contract_tools/$1"/package*.json "$there/$1/"
    if { command -v npm && timeout --kill-after=10 180 npm ci --prefix "$there/$1" --ignore-scripts --no-audit \
        --no-fund; } >"$there/$1.log" 2>&1; then
        cp "$there/$1/package-lock.json" "$there/$1/installed.json" # an installation that broke off has none
    else
        rm -rf "${there:?}/$1"
        echo "$2 cannot be installed (see $there/$1.log): the tests that need it will be skipped."
    fi
}

mkdir -p "$there"
install_llmock
install_by_npm axe axe
if [[ -f ${SETRIGHT_OPENAI_SPEC:-${SETRIGHT_DATA:-../shared/data}/../openai/openapi.json} ]]; then
    command -v prism >/dev/null || install_by_npm prism Prism
fi
