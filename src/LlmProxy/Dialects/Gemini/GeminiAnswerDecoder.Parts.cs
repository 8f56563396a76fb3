using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Gemini;

/// <content>What a candidate says: its parts, one after the other.</content>
internal sealed partial class GeminiAnswerDecoder
{
    private bool TakeContent(ReadOnlySpan<byte> raw, Candidate candidate, IAnswerSink sink)
    {
        var hasOthers = false;
        var reader = Reader(raw);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isParts = GeminiNames.Is(ref reader, "parts"u8);
            reader.Read();
            if (!isParts || reader.TokenType != JsonTokenType.StartArray)
            {
                hasOthers |= !isParts && reader.TokenType is not (JsonTokenType.Null or JsonTokenType.String); // the role is a string
                reader.Skip();
                continue;
            }
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                if (reader.TokenType != JsonTokenType.StartObject || !TakePart(Value(ref reader, raw), candidate, sink))
                {
                    return false;
                }
            }
        }
        if (hasOthers)
        {
            UnknownAnswerMembers.Report(raw, "candidates[].content.", "role parts"u8, sink);
        }
        return true;
    }

    private bool TakePart(ReadOnlySpan<byte> raw, Candidate candidate, IAnswerSink sink)
    {
        ReadOnlySpan<byte> text = default, call = default, medium = default, signature = default;
        var (isThought, isOther, hasMembers) = (false, false, false);
        string? other = null;
        var reader = Reader(raw);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var (isText, isMark, isSignature) = (GeminiNames.Is(ref reader, "text"u8), GeminiNames.Is(ref reader, "thought"u8), GeminiNames.Is(ref reader, "thoughtSignature"u8));
            var (isCall, isMedium) = (GeminiNames.Is(ref reader, "functionCall"u8), GeminiNames.Is(ref reader, "inlineData"u8));
            var isKnown = isText || isMark || isSignature || isCall || isMedium;
            if (!isKnown)
            {
                other ??= GeminiNames.Camel(ref reader);
            }
            reader.Read();
            var type = reader.TokenType;
            hasMembers = true;
            isThought |= isMark && type == JsonTokenType.True;
            var value = Value(ref reader, raw);
            isOther |= !isKnown && type != JsonTokenType.Null;
            if (type == JsonTokenType.String)
            {
                text = isText ? value : text;
                signature = isSignature ? value : signature;
            }
            else if (type == JsonTokenType.StartObject)
            {
                call = isCall ? value : call;
                medium = isMedium ? value : medium;
            }
        }
        if (isOther && (!call.IsEmpty || !medium.IsEmpty || !text.IsEmpty))
        {
            UnknownAnswerMembers.Report(raw, GeminiAnswerEncoder.OfParts, "text thought thoughtSignature functionCall inlineData thought_signature function_call inline_data"u8, sink);
        }
        if (!call.IsEmpty)
        {
            return TakeCall(call, signature, candidate, sink);
        }
        if ((isOther && medium.IsEmpty && text.IsEmpty) || (!medium.IsEmpty && isThought))
        {
            TakeNative(raw, medium.IsEmpty ? other! : "inlineData", candidate, sink);
            return true;
        }
        if (!medium.IsEmpty)
        {
            TakeMedium(medium, signature, candidate, sink);
            return true;
        }
        if (hasMembers)
        {
            TakeText(text, isThought, signature, candidate, sink);
        }
        return true;
    }

    private void TakeText(ReadOnlySpan<byte> text, bool isThought, ReadOnlySpan<byte> signature, Candidate candidate, IAnswerSink sink)
    {
        if (text.Length <= 2 && signature.IsEmpty)
        {
            return;
        }
        var kind = isThought ? BlockKind.ReasoningSummary : BlockKind.Text;
        if (candidate.Open < 0 || candidate.Kind != kind || candidate.IsSigned && text.Length > 2)
        {
            Close(candidate, sink);
            Begin(candidate, kind, sink, new BlockStart { Kind = kind, Choice = candidate.Index });
        }
        if (text.Length > 2)
        {
            ContentBegun = true;
            sink.Delta(candidate.Open, text);
            candidate.IsAscii &= isThought || (Ascii.IsValid(text) && text.IndexOf("\\u"u8) < 0);
        }
        Sign(signature, candidate, sink);
    }

    private static void Sign(ReadOnlySpan<byte> signature, Candidate candidate, IAnswerSink sink)
    {
        if (!signature.IsEmpty)
        {
            sink.Signature(candidate.Open, SignatureFamilies.Google, signature);
            candidate.IsSigned = true;
        }
    }

    private void TakeMedium(ReadOnlySpan<byte> raw, ReadOnlySpan<byte> signature, Candidate candidate, IAnswerSink sink)
    {
        ReadOnlySpan<byte> type = default, data = default;
        var reader = Reader(raw);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var (isType, isData) = (GeminiNames.Is(ref reader, "mimeType"u8), GeminiNames.Is(ref reader, "data"u8));
            reader.Read();
            var isText = reader.TokenType == JsonTokenType.String;
            var value = Value(ref reader, raw);
            type = isType && isText ? value : type;
            data = isData && isText ? value : data;
        }
        Close(candidate, sink);
        Begin(candidate, BlockKind.Media, sink, new BlockStart { Kind = BlockKind.Media, Choice = candidate.Index, MediaTypeToken = type });
        if (data.Length > 2)
        {
            sink.Delta(candidate.Open, data);
        }
        Sign(signature, candidate, sink);
        Close(candidate, sink);
        ContentBegun = true;
    }

    private void TakeNative(ReadOnlySpan<byte> raw, string type, Candidate candidate, IAnswerSink sink)
    {
        Close(candidate, sink);
        Begin(candidate, BlockKind.Native, sink, new BlockStart { Kind = BlockKind.Native, Choice = candidate.Index, NativeType = type, Raw = raw });
        Close(candidate, sink);
        ContentBegun = true;
    }

    private bool TakeCall(ReadOnlySpan<byte> raw, ReadOnlySpan<byte> signature, Candidate candidate, IAnswerSink sink)
    {
        ReadOnlySpan<byte> id = default, name = default, args = default, pieces = default;
        var goesOn = false;
        var reader = Reader(raw);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var (isId, isName, isArgs) = (GeminiNames.Is(ref reader, "id"u8), GeminiNames.Is(ref reader, "name"u8), GeminiNames.Is(ref reader, "args"u8));
            var (isPieces, isMore) = (GeminiNames.Is(ref reader, "partialArgs"u8), GeminiNames.Is(ref reader, "willContinue"u8));
            reader.Read();
            var type = reader.TokenType;
            goesOn |= isMore && type == JsonTokenType.True;
            var value = Value(ref reader, raw);
            id = isId && type == JsonTokenType.String ? value : id;
            name = isName && type == JsonTokenType.String ? value : name;
            args = isArgs && type == JsonTokenType.StartObject ? value : args;
            pieces = isPieces && type == JsonTokenType.StartArray ? value : pieces;
        }
        if (name.Length > 2)
        {
            UnknownAnswerMembers.Report(raw, GeminiAnswerEncoder.OfParts + "functionCall.", "id name args partialArgs willContinue partial_args will_continue"u8, sink);
            Close(candidate, sink);
            token.ResetWrittenCount();
            if (id.Length <= 2)
            {
                WriteId();
                id = token.WrittenSpan;
            }
            calls++;
            candidate.HasCalls = true;
            ContentBegun = true;
            Begin(candidate, BlockKind.ToolCall, sink, new BlockStart { Kind = BlockKind.ToolCall, Choice = candidate.Index, IdToken = id, NameToken = name });
            candidate.Args = goesOn || !pieces.IsEmpty ? new GeminiPartialArgs() : null;
        }
        else if (candidate.Open < 0 || candidate.Kind != BlockKind.ToolCall || candidate.Args is null)
        {
            // The end of a call that has ended already is harmless; more of one that never began is not.
            return pieces.IsEmpty && args.IsEmpty;
        }
        Sign(signature, candidate, sink);
        if (candidate.Args is null)
        {
            WriteArguments(args.IsEmpty ? "{}"u8 : args, candidate, sink);
            Close(candidate, sink);
            return true;
        }
        scratch.ResetWrittenCount();
        if (!args.IsEmpty && pieces.IsEmpty && !goesOn)
        {
            candidate.Args = null; // announced in pieces, but sent whole
            WriteArguments(args, candidate, sink);
            Close(candidate, sink);
            return true;
        }
        try
        {
            if (!pieces.IsEmpty && !candidate.Args.TryWrite(pieces, scratch))
            {
                return false;
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
        if (!goesOn)
        {
            candidate.Args.End(scratch);
            candidate.Args = null;
        }
        if (scratch.WrittenCount > 0)
        {
            WriteArguments(scratch.WrittenSpan, candidate, sink);
        }
        if (candidate.Args is null)
        {
            Close(candidate, sink);
        }
        return true;
    }

    private void WriteArguments(ReadOnlySpan<byte> arguments, Candidate candidate, IAnswerSink sink)
    {
        token.ResetWrittenCount();
        token.WriteAsToken(arguments);
        sink.Delta(candidate.Open, token.WrittenSpan);
    }

    private void WriteId()
    {
        token.Write("\"call_"u8);
        token.Write(idBase);
        token.Write("_"u8);
        Span<byte> digits = stackalloc byte[11];
        calls.TryFormat(digits, out var length, provider: CultureInfo.InvariantCulture);
        token.Write(digits[..length]);
        token.Write("\""u8);
    }

    private void Begin(Candidate candidate, BlockKind kind, IAnswerSink sink, in BlockStart start)
    {
        candidate.Open = blocks++;
        candidate.Kind = kind;
        candidate.IsSigned = false;
        sink.BeginBlock(candidate.Open, start);
    }

    private void Close(Candidate candidate, IAnswerSink sink)
    {
        if (candidate.Open < 0)
        {
            return;
        }
        if (candidate.Args is { } unfinished)
        {
            // The last piece never came; what came is complete all the same.
            scratch.ResetWrittenCount();
            unfinished.End(scratch);
            candidate.Args = null;
            WriteArguments(scratch.WrittenSpan, candidate, sink);
        }
        sink.EndBlock(candidate.Open);
        candidate.Open = -1;
    }
}
