#!/usr/bin/env node
import "../build/js/cli/main.js";
