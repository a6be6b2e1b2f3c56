// What operations have code of their own: one row each. Others are executed by their kernels.
#include "guest/select/x64/codegen.h"

namespace dd::select::x64 {
namespace {

using ir::OpCode;

struct Row {
  OpCode code;
  Codegen::Selection selection;
};

constexpr Row kRows[] = {
    {OpCode::kMov, &Codegen::Mov},
    {OpCode::kAdd, &Codegen::Add},
    {OpCode::kSub, &Codegen::Sub},
    {OpCode::kAdc, &Codegen::WithCarry},
    {OpCode::kSbc, &Codegen::WithCarry},
    {OpCode::kAnd, &Codegen::Logic},
    {OpCode::kOr, &Codegen::Logic},
    {OpCode::kXor, &Codegen::Logic},
    {OpCode::kAndNot, &Codegen::LogicNot},
    {OpCode::kOrNot, &Codegen::LogicNot},
    {OpCode::kXorNot, &Codegen::LogicNot},
    {OpCode::kNeg, &Codegen::NegOrNot},
    {OpCode::kNot, &Codegen::NegOrNot},
    {OpCode::kMul, &Codegen::Mul},
    {OpCode::kMulHigh, &Codegen::MulHigh},
    {OpCode::kMulWide, &Codegen::MulWide},
    {OpCode::kDiv, &Codegen::Div},
    {OpCode::kShl, &Codegen::ShiftOp},
    {OpCode::kShr, &Codegen::ShiftOp},
    {OpCode::kSar, &Codegen::ShiftOp},
    {OpCode::kRor, &Codegen::ShiftOp},
    {OpCode::kExtractPair, &Codegen::ExtractPair},
    {OpCode::kBitExtract, &Codegen::BitExtract},
    {OpCode::kBitPlace, &Codegen::BitPlace},
    {OpCode::kBitInsert, &Codegen::BitInsert},
    {OpCode::kZext, &Codegen::Extension},
    {OpCode::kSext, &Codegen::Extension},
    {OpCode::kClz, &Codegen::Clz},
    {OpCode::kCls, &Codegen::Cls},
    {OpCode::kBitReverse, &Codegen::BitReverse},
    {OpCode::kByteSwap, &Codegen::ByteSwap},
    {OpCode::kCrc32c, &Codegen::Crc32c},
    {OpCode::kSelect, &Codegen::Select},
    {OpCode::kSetCond, &Codegen::SetCond},
    {OpCode::kCondCompare, &Codegen::CondCompare},
    {OpCode::kLoad, &Codegen::Load},
    {OpCode::kStore, &Codegen::Store},
    {OpCode::kLoadVector, &Codegen::LoadVector},
    {OpCode::kStoreVector, &Codegen::StoreVector},
    {OpCode::kZeroBlock, &Codegen::ZeroBlock},
    {OpCode::kAtomicAdd, &Codegen::AtomicAdd},
    {OpCode::kAtomicAndNot, &Codegen::AtomicLoop},
    {OpCode::kAtomicOr, &Codegen::AtomicLoop},
    {OpCode::kAtomicXor, &Codegen::AtomicLoop},
    {OpCode::kAtomicMax, &Codegen::AtomicLoop},
    {OpCode::kAtomicMin, &Codegen::AtomicLoop},
    {OpCode::kAtomicSwap, &Codegen::AtomicSwap},
    {OpCode::kCompareSwap, &Codegen::CompareSwap},
    {OpCode::kCompareSwapPair, &Codegen::CompareSwapPair},
    {OpCode::kLoadExclusive, &Codegen::LoadExclusive},
    {OpCode::kLoadExclusivePair, &Codegen::LoadExclusivePair},
    {OpCode::kStoreExclusive, &Codegen::StoreExclusive},
    {OpCode::kStoreExclusivePair, &Codegen::StoreExclusivePair},
    {OpCode::kClearExclusive, &Codegen::ClearExclusive},
    {OpCode::kFence, &Codegen::Fence},
    {OpCode::kReadSystem, &Codegen::ReadSystem},
    {OpCode::kWriteSystem, &Codegen::WriteSystem},
    {OpCode::kPause, &Codegen::PauseOp},
    {OpCode::kInvalidateCode, &Codegen::InvalidateCode},
    {OpCode::kVMov, &Codegen::VMov},
    {OpCode::kVZero, &Codegen::VConst},
    {OpCode::kVConst, &Codegen::VConst},
    {OpCode::kVDup, &Codegen::VDup},
    {OpCode::kVDupLane, &Codegen::VDupLane},
    {OpCode::kVInsert, &Codegen::VInsert},
    {OpCode::kVInsertLane, &Codegen::VInsertLane},
    {OpCode::kVExtract, &Codegen::VExtract},
    {OpCode::kVSelectCond, &Codegen::VSelectCond},
    {OpCode::kVZip, &Codegen::VZip},
    {OpCode::kVUzp, &Codegen::VUzp},
    {OpCode::kVTrn, &Codegen::VTrn},
    {OpCode::kVExt, &Codegen::VExt},
    {OpCode::kVReverse, &Codegen::VReverse},
    {OpCode::kVTable, &Codegen::VTable},
    {OpCode::kVAnd, &Codegen::VBinary},
    {OpCode::kVOr, &Codegen::VBinary},
    {OpCode::kVXor, &Codegen::VBinary},
    {OpCode::kVAndNot, &Codegen::VNot},
    {OpCode::kVOrNot, &Codegen::VNot},
    {OpCode::kVNot, &Codegen::VNot},
    {OpCode::kVSelect, &Codegen::VSelect},
    {OpCode::kVAdd, &Codegen::VBinary},
    {OpCode::kVSub, &Codegen::VBinary},
    {OpCode::kVMul, &Codegen::VBinary},
    {OpCode::kVNeg, &Codegen::VNegAbs},
    {OpCode::kVAbs, &Codegen::VNegAbs},
    {OpCode::kVAbsDiff, &Codegen::VNegAbs},
    {OpCode::kVMax, &Codegen::VBinary},
    {OpCode::kVMin, &Codegen::VBinary},
    {OpCode::kVCmpEq, &Codegen::VBinary},
    {OpCode::kVCmpGt, &Codegen::VCompare},
    {OpCode::kVCmpGe, &Codegen::VCompare},
    {OpCode::kVCmpTest, &Codegen::VCompare},
    {OpCode::kVPopcount, &Codegen::VPopcount},
    {OpCode::kVHalvingAdd, &Codegen::VBinary},
    {OpCode::kVAddPair, &Codegen::VPair},
    {OpCode::kVMaxPair, &Codegen::VPair},
    {OpCode::kVMinPair, &Codegen::VPair},
    {OpCode::kVAddWidenPair, &Codegen::VAddWidenPair},
    {OpCode::kVAddAcross, &Codegen::VAcross},
    {OpCode::kVMaxAcross, &Codegen::VAcross},
    {OpCode::kVMinAcross, &Codegen::VAcross},
    {OpCode::kVShl, &Codegen::VShift},
    {OpCode::kVShr, &Codegen::VShift},
    {OpCode::kVShlInsert, &Codegen::VShift},
    {OpCode::kVShrInsert, &Codegen::VShift},
    {OpCode::kVWiden, &Codegen::VWiden},
    {OpCode::kVMulWide, &Codegen::VMulWide},
    {OpCode::kVNarrow, &Codegen::VNarrow},
    {OpCode::kVPolyMulWide, &Codegen::VPolyMulWide},
    {OpCode::kVNarrowSat, &Codegen::VNarrowSaturating},
    {OpCode::kVNarrowSatUnsigned, &Codegen::VNarrowSaturating},
    {OpCode::kVSatDoubleMulHigh, &Codegen::VSatDoubleMulHigh},
    {OpCode::kVAddSat, &Codegen::VSaturating},
    {OpCode::kVSubSat, &Codegen::VSaturating},
    {OpCode::kVShiftVar, &Codegen::VShiftVar},
    {OpCode::kFAdd, &Codegen::FBinary},
    {OpCode::kFSub, &Codegen::FBinary},
    {OpCode::kFMul, &Codegen::FBinary},
    {OpCode::kFDiv, &Codegen::FBinary},
    {OpCode::kFSqrt, &Codegen::FSqrt},
    {OpCode::kFMulAdd, &Codegen::FMulAdd},
    {OpCode::kFMax, &Codegen::FMinMax},
    {OpCode::kFMin, &Codegen::FMinMax},
    {OpCode::kFMaxNum, &Codegen::FMinMax},
    {OpCode::kFMinNum, &Codegen::FMinMax},
    {OpCode::kFAbs, &Codegen::FSign},
    {OpCode::kFNeg, &Codegen::FSign},
    {OpCode::kFCmpEq, &Codegen::FCompareMask},
    {OpCode::kFCmpGt, &Codegen::FCompareMask},
    {OpCode::kFCmpGe, &Codegen::FCompareMask},
    {OpCode::kFRound, &Codegen::FRound},
    {OpCode::kFToGeneral, &Codegen::FToGeneral},
    {OpCode::kFFromGeneral, &Codegen::FFromGeneral},
    {OpCode::kFFromInt, &Codegen::FFromInt},
    {OpCode::kFToInt, &Codegen::FToInt},
    {OpCode::kFConvert, &Codegen::FConvert},
    {OpCode::kFCompare, &Codegen::FCompare},
    {OpCode::kFCondCompare, &Codegen::FCondCompare},
    {OpCode::kSha1Hash, &Codegen::Sha1Hash},
    {OpCode::kSha1Rotate, &Codegen::Sha1Rotate},
    {OpCode::kSha1Schedule0, &Codegen::Sha1Schedule0},
    {OpCode::kSha1Schedule1, &Codegen::Sha1Schedule1},
    {OpCode::kSha256Hash, &Codegen::Sha256Hash},
    {OpCode::kSha256Schedule0, &Codegen::Sha256Schedule0},
    {OpCode::kSha256Schedule1, &Codegen::Sha256Schedule1},
    {OpCode::kAesEncrypt, &Codegen::Aes},
    {OpCode::kAesDecrypt, &Codegen::Aes},
    {OpCode::kAesMixColumns, &Codegen::Aes},
    {OpCode::kAesInverseMixColumns, &Codegen::Aes},
};

#define DD_COUNT(name, kind) +1
constexpr uint32_t kOpCodes = 0 DD_IR_OPS(DD_COUNT);
#undef DD_COUNT

struct Table {
  Codegen::Selection of[kOpCodes];
};

constexpr Table MakeTable() {
  Table table{};
  for (const Row& row : kRows) table.of[static_cast<uint16_t>(row.code)] = row.selection;
  return table;
}

constexpr Table kTable = MakeTable();

}  // namespace

Codegen::Selection SelectionOf(OpCode code) { return kTable.of[static_cast<uint16_t>(code)]; }

}  // namespace dd::select::x64
