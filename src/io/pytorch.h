// PyTorch files (.pt, .pth, .bin, .ckpt): what torch.save wrote of a dict of tensors.
//
// Two forms. Since 1.6 a zip archive whose entries are stored uncompressed: NAME/data.pkl (a pickle that says which tensor is which part
// of which storage), NAME/data/KEY (the bytes of a storage), NAME/byteorder. Before, and still on request: five pickles one after the
// other (a magic number, a protocol version, facts about the machine, the object, the list of storage keys), then for each key the
// number of elements in 8 bytes and the bytes.
//
// Place in the flow: weight files -> TensorInfo -> checkpoint. Nothing in a file is run (io/pickle.h). The tensors share ownership of the
// bytes. Stateless; any thread.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/tensor.h"

namespace csm {

// By the ending of the name alone.
bool is_pytorch_name(std::string_view name);

// Maps the file and lists the tensors of its dict, in its order, under their keys; other values are passed over. When the dict holds
// none, or one of the usual dicts around weights ("model", "state_dict", ...), that inner dict is meant, up to four levels down.
// fetch() gives a view into the mapping for tensors that lie in order, and a copy in order for others (transposed views).
// Errors: kNotFound, kIo; kInvalidData for damaged files, storages that are missing or of another size, sizes, strides or offsets
// beyond their storage, and the same name twice; kUnsupported for pickles that ask for anything but tensors (names it and the byte), for
// expanded and sparse tensors, for types that DType lacks, compressed entries and big-endian files; kResourceLimit for pickles and
// copies out of proportion.
std::vector<TensorInfo> read_pytorch(const std::string& path);

// The same over bytes in memory, kept alive by owner. `where` opens the messages.
std::vector<TensorInfo> read_pytorch_bytes(std::span<const std::byte> bytes, std::shared_ptr<const void> owner, const std::string& where);

}  // namespace csm
