// Python pickles as data. A pickle is a program for a small stack machine that may ask to call any function; here nothing is ever
// called: a call stays a node of the tree, of a function from a closed list, and whatever else a pickle asks for is an error.
//
// Read: protocols 0 to 5 as far as they build None, booleans, numbers, texts, bytes, tuples, lists, dicts (OrderedDict too), calls from
// the list, and persistent ids.
//
// Place in the flow: weight files -> (here) -> PyTorch reader, which gives calls and persistent ids their meaning. Nodes lie in one
// table and refer to each other by number, so that a pickle that refers to itself or is nested deep harms nobody; whoever walks the
// tree must bound the depth. Texts are views of the pickle's bytes. Immutable after parsing; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace csm {

enum class PickleKind : uint8_t {
  kNone, kBool, kInt, kBigInt, kFloat, kText, kBytes, kTuple, kList, kDict,
  kGlobal,      // a name of the list: text() is "module.name"
  kCall,        // items(): the global, its arguments (a tuple)
  kPersistent,  // items(): what names the object outside the pickle
};

const char* to_string(PickleKind kind);

// Small and free to copy. What it refers to belongs to the Pickle.
struct PickleValue {
  PickleKind kind = PickleKind::kNone;
  union {
    int64_t integer = 0;  // kInt, kBool
    double number;        // kFloat
    uint32_t node;        // the others
  };
};

class Pickle {
 public:
  // Reads the pickle that begins at byte `begin`. bytes and globals (the names that may be called or used: "module.name") must outlive
  // it. where: opens the messages. Errors: kInvalidData for what is not a pickle, or ends before it does; kUnsupported
  // with the name and the byte for any other global and for operations that run code; kResourceLimit for millions of objects.
  static Pickle parse(std::span<const std::byte> bytes, size_t begin, std::span<const std::string_view> globals,
                      const std::string& where);

  PickleValue root() const { return root_; }
  size_t end() const { return end_; }  // the byte after it
  const std::vector<PickleValue>& persistent() const { return persistent_; }  // all persistent ids, in order

  // kText, kBytes (as they are written), kGlobal, kBigInt (its bytes, least first).
  std::string_view text(PickleValue value) const { return nodes_[value.node].text; }
  // The elements of a tuple or list; keys and values of a dict in turn; what the kind says for the others.
  std::span<const PickleValue> items(PickleValue value) const { return nodes_[value.node].items; }
  // Where a node was made; 0 for values that are no nodes.
  size_t offset(PickleValue value) const;
  // The value of a text key in a dict; null when there is none. The last one, should it be there twice.
  const PickleValue* find(PickleValue dict, std::string_view key) const;

 private:
  friend class PickleMachine;
  struct Node {
    size_t offset = 0;
    std::string_view text;
    std::vector<PickleValue> items;
  };

  PickleValue root_;
  size_t end_ = 0;
  std::deque<Node> nodes_;
  std::vector<PickleValue> persistent_;
};

}  // namespace csm
