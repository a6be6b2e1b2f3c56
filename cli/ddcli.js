#!/usr/bin/env node
import { load } from "./load.cjs";

await load("ddcli", "main");
