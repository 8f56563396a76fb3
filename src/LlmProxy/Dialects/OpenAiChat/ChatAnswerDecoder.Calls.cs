using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.OpenAiChat;

/// <content>Calls of tools, whole or in pieces.</content>
internal sealed partial class ChatAnswerDecoder
{
    private void ReadCalls(ReadOnlySpan<byte> calls, ChatChoiceState choice)
    {
        if (calls.IsEmpty || calls[0] != (byte)'[')
        {
            return;
        }
        var reader = NewReader(calls);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
        {
            ReadOnlySpan<byte> id = default, function = default, extra = default;
            var (index, isCustom) = (-1, false);
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (MemberNames.Is(ref reader, "index"u8))
                {
                    reader.Read();
                    index = reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var given) && given >= 0 ? given : -1;
                    reader.Skip();
                }
                else if (MemberNames.Is(ref reader, "id"u8))
                {
                    id = ValueOf(ref reader, calls);
                }
                else if (MemberNames.Is(ref reader, "function"u8))
                {
                    function = ValueOf(ref reader, calls);
                }
                else if (MemberNames.Is(ref reader, "custom"u8))
                {
                    var custom = ValueOf(ref reader, calls);
                    isCustom = custom[0] == (byte)'{';
                    function = isCustom ? custom : function;
                }
                else if (MemberNames.Is(ref reader, "extra_content"u8))
                {
                    extra = ValueOf(ref reader, calls);
                }
                else
                {
                    var isType = MemberNames.Is(ref reader, "type"u8);
                    var name = reader.ValueSpan;
                    var value = ValueOf(ref reader, calls);
                    if (!isType)
                    {
                        Extend([.. "tool_calls[]."u8, .. name], choice.Index, inMessage: true, value);
                    }
                }
            }
            ReadCall(choice, index, IsText(id) ? id : default, isCustom, function, GoogleSignatureOf(extra));
        }
    }

    private void ReadFunctionCall(ReadOnlySpan<byte> function, ChatChoiceState choice) => ReadCall(choice, int.MaxValue, "\"function_call_0\""u8, isCustom: false, function, default);

    private void ReadCall(ChatChoiceState choice, int index, ReadOnlySpan<byte> id, bool isCustom, ReadOnlySpan<byte> function, ReadOnlySpan<byte> signature)
    {
        ReadOnlySpan<byte> name = default, arguments = default;
        if (!function.IsEmpty && function[0] == (byte)'{')
        {
            var reader = NewReader(function);
            reader.Read();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isName = MemberNames.Is(ref reader, "name"u8);
                var isArguments = MemberNames.Is(ref reader, isCustom ? "input"u8 : "arguments"u8);
                var member = reader.ValueSpan;
                var value = ValueOf(ref reader, function);
                name = isName && IsText(value) ? value : name;
                arguments = isArguments ? value : arguments;
                if (!isName && !isArguments)
                {
                    Extend([.. isCustom ? "tool_calls[].custom."u8 : "tool_calls[].function."u8, .. member], choice.Index, inMessage: true, value);
                }
            }
        }
        var call = FindCall(choice, index, id, !name.IsEmpty);
        if (call is null)
        {
            if (choice.Calls.Count == MaxChoices)
            {
                throw new InvalidOperationException("More tool calls than an answer can hold.");
            }
            call = new ChatCallState { Index = index, Id = id.ToArray(), IsCustom = isCustom };
            choice.Calls.Add(call);
        }
        else if (call.Id.Length == 0)
        {
            call.Id = id.ToArray();
        }
        if (call.Block < 0 && !name.IsEmpty)
        {
            BeginCall(choice, call, name);
        }
        AddArguments(call, arguments);
        if (!signature.IsEmpty && call.Block >= 0)
        {
            sink.Signature(call.Block, SignatureFamilies.Google, signature);
        }
    }

    private void AddArguments(ChatCallState call, ReadOnlySpan<byte> arguments)
    {
        if (!arguments.IsEmpty && arguments[0] == (byte)'{')
        {
            // An object where a text with JSON should be: an old habit of several servers.
            scratch.ResetWrittenCount();
            scratch.WriteAsToken(arguments);
            arguments = scratch.WrittenSpan;
        }
        if (!IsText(arguments) || call.IsEnded)
        {
            return;
        }
        if (!call.IsCustom)
        {
            call.Follow(arguments[1..^1]);
        }
        if (call.Block < 0)
        {
            (call.Early ??= new ArrayBufferWriter<byte>()).Write(arguments[1..^1]);
            return;
        }
        sink.Delta(call.Block, arguments);
    }

    /// <summary>The call that a piece belongs to; null: it begins one.</summary>
    private static ChatCallState? FindCall(ChatChoiceState choice, int index, ReadOnlySpan<byte> id, bool isNamed)
    {
        for (var i = choice.Calls.Count - 1; i >= 0; i--)
        {
            var call = choice.Calls[i];
            if (index >= 0 && call.Index >= 0 && call.Index != index)
            {
                continue;
            }
            if (!id.IsEmpty && call.Id.Length > 0)
            {
                if (id.SequenceEqual(call.Id))
                {
                    return call;
                }
                continue; // the same index for another call, or no index at all
            }
            // Without an id, a name after complete arguments begins another call.
            return isNamed && call.Block >= 0 && (call.IsComplete || index < 0) ? null : call;
        }
        return null;
    }

    private void BeginCall(ChatChoiceState choice, ChatCallState call, ReadOnlySpan<byte> name)
    {
        EndSpoken(choice);
        if (call.Id.Length == 0)
        {
            call.Id = MadeUpId(choice.Index, choice.Calls.IndexOf(call));
        }
        call.Block = Begin(new BlockStart
        {
            Kind = BlockKind.ToolCall,
            Choice = choice.Index,
            IdToken = call.Id,
            NameToken = name,
            ToolKind = call.IsCustom ? ToolKind.Custom : ToolKind.Function,
        });
        if (call.Early is { } early)
        {
            sink.Delta(call.Block, Token(early.WrittenSpan));
            call.Early = null;
        }
    }

    /// <summary>An id for a call that has none: the same each time this answer is decoded, another in each answer.</summary>
    private byte[] MadeUpId(int choice, int call)
    {
        if (answerId.Length <= 2)
        {
            answerId = Guid.NewGuid().ToByteArray();
        }
        var seed = 14695981039346656037; // FNV-1a
        foreach (var part in answerId)
        {
            seed = (seed ^ part) * 1099511628211;
        }
        return Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"\"call_{seed:x16}_{choice}_{call}\""));
    }
}
