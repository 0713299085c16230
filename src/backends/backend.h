// The interface of a backend and the list of those built in.
#pragma once

#include "backends/registry.h"
#include "model/backend.h"
