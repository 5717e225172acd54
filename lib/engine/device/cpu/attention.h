// The two ways to compute attention on the CPU; attention.cpp picks.
#pragma once

#include <span>

#include "engine/base/thread_pool.h"
#include "engine/device/cpu/kv_rows.h"
#include "engine/device/cpu/op_kernels.h"

namespace mtmd::cpu {

/// Queries of one sequence: all look at the same rows, each at its own range.
struct AttentionRun {
  Tensor y, q;                       ///< [n, heads * value_dim], [n, heads * key_dim]
  std::span<const KeyRange> ranges;  ///< one per query
  KvSide keys, values;
};

/// Tiles of 48 rows x 128 keys: for prompts and encoders. Parallel over kv heads x blocks of rows.
void attend_tiles(ThreadPool& pool, const OpKernels& ops, const AttentionOptions& options, const AttentionRun& run);

/// One query at a time, its keys cut into chunks that are merged at the end: for generation. Parallel over queries x
/// chunks. Every run has one query.
void attend_single(ThreadPool& pool, const OpKernels& ops, const AttentionOptions& options,
                   std::span<const AttentionRun> runs);

}  // namespace mtmd::cpu
