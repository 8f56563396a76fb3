using System.Buffers;
using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;
using LlmProxy.Dialects;
using LlmProxy.Dialects.OpenAiChat;
using LlmProxy.Neutral;
using Microsoft.Extensions.AI;
using Shared.Snapshots;

namespace LlmProxy.InProcess;

/// <summary>
/// Turns the messages and options of Microsoft.Extensions.AI into a neutral request, and that into the body that an outside caller would send, so that routes' defaults, bounds and
/// bills are the same for both. What has no place there is refused, not left out.
/// </summary>
internal static class MessageCodec
{
    /// <summary>The argument under which a custom tool's free text is shown.</summary>
    public const string CustomInput = "input";

    /// <summary>The additional property of a call that holds arguments which are no JSON object.</summary>
    public const string RawArguments = "gateway.arguments";

    private static readonly Provider Self = new() { Id = DialectIds.InProcess, Dialect = DialectIds.OpenAiChat, Origin = "built-in" };

    /// <summary>The body of a request.</summary>
    /// <exception cref="NotSupportedException">A message or an option holds something that no model can be sent.</exception>
    public static byte[] Write(IEnumerable<ChatMessage> messages, ChatOptions? options, string model, bool stream)
    {
        var output = new ArrayBufferWriter<byte>(4096);
        ChatRequestWriter.Write(Read(messages, options, stream), new EncodeTarget { Provider = Self, Model = model, Dropped = new DropReport() }, output);
        return output.WrittenSpan.ToArray();
    }

    /// <summary>The neutral request.</summary>
    /// <exception cref="NotSupportedException">A message or an option holds something that no model can be sent.</exception>
    public static NeutralRequest Read(IEnumerable<ChatMessage> messages, ChatOptions? options, bool stream)
    {
        var form = new ChatForm();
        var request = new NeutralRequest { Source = DialectIds.OpenAiChat, SourceForm = form, Stream = stream, WantsUsage = true };
        if (options?.Instructions is { Length: > 0 } instructions)
        {
            var message = new NeutralMessage { Role = NeutralRole.System, IsShort = true };
            message.Parts.Add(new TextPart { Text = JsonText.From(instructions) });
            request.Messages.Add(message);
        }
        foreach (var message in messages)
        {
            Add(request, form, message);
        }
        if (options is not null)
        {
            OptionsCodec.Read(options, request, form);
        }
        return request;
    }

    private static void Add(NeutralRequest request, ChatForm form, ChatMessage message)
    {
        var made = new NeutralMessage { Role = RoleOf(message.Role), Name = JsonText.FromNullable(message.AuthorName) };
        var thoughts = new List<ReasoningPart>();
        foreach (var content in message.Contents)
        {
            switch (content)
            {
                case FunctionResultContent result:
                    AddResult(request, form, result);
                    break;
                case TextReasoningContent reasoning:
                    AddThought(thoughts, reasoning);
                    break;
                case FunctionCallContent call:
                    made.Parts.Add(CallOf(call));
                    break;
                case ErrorContent { ErrorCode: "Refusal" } refusal:
                    made.Parts.Add(new RefusalPart { Text = JsonText.From(refusal.Message) });
                    break;
                case UsageContent or ErrorContent:
                    break; // of an earlier answer, and no part of what was said
                default:
                    made.Parts.Add(PartOf(form, content));
                    break;
            }
        }
        AddThoughts(form, made, thoughts);
        if (made.Parts.Count == 0)
        {
            return;
        }
        var said = made.Parts.Where(part => part is TextPart or MediaPart).ToList();
        made.IsShort = said.Count == 0 || said is [TextPart];
        if (made.Role == NeutralRole.Assistant && !made.IsShort && said.TrueForAll(part => part is TextPart))
        {
            // The pieces of an answer are one text; few providers take them apart.
            var whole = new TextPart { Text = JsonText.Join([.. said.Select(part => ((TextPart)part).Text)], default), Signature = said.OfType<TextPart>().LastOrDefault(part => part.Signature is not null)?.Signature };
            var at = made.Parts.IndexOf(said[0]);
            made.Parts.RemoveAll(part => part is TextPart);
            made.Parts.Insert(at, whole);
            made.IsShort = true;
        }
        foreach (var part in made.Parts.Where(part => part is MediaPart && made.Role == NeutralRole.Assistant))
        {
            form.InPlace.Add(part);
        }
        request.Messages.Add(made);
    }

    private static NeutralRole RoleOf(ChatRole role) => role == ChatRole.System ? NeutralRole.System
        : role == ChatRole.User ? NeutralRole.User
        : role == ChatRole.Assistant ? NeutralRole.Assistant
        : role == ChatRole.Tool ? NeutralRole.User // what a tool message holds besides results
        : role.Value == "developer" ? NeutralRole.Developer
        : throw new NotSupportedException($"Messages of the role '{role}' cannot be sent to a model. Use system, developer, user, assistant or tool.");

    private static void AddThought(List<ReasoningPart> thoughts, TextReasoningContent content)
    {
        var signature = content.ProtectedData is { } data ? SignatureOf(data.StartsWith("redacted:", StringComparison.Ordinal) ? data["redacted:".Length..] : data) : null;
        if (content.ProtectedData?.StartsWith("redacted:", StringComparison.Ordinal) == true)
        {
            thoughts.Add(new ReasoningPart { IsRedacted = true, Signature = signature });
        }
        else if (thoughts.Count > 0 && thoughts[^1] is { Signature: null, IsRedacted: false } open)
        {
            // The pieces of a stream, of which the last is signed.
            thoughts[^1] = new ReasoningPart { Text = JsonText.Join([open.Text, JsonText.From(content.Text)], default), Signature = signature };
        }
        else
        {
            thoughts.Add(new ReasoningPart { Text = JsonText.From(content.Text), Signature = signature });
        }
    }

    /// <summary>A signature as <see cref="UpdateSink"/> wrote it; null: it is another client's, whose nobody knows.</summary>
    private static NeutralSignature? SignatureOf(string data) =>
        data.IndexOf(':', StringComparison.Ordinal) is var at and > 0 ? new NeutralSignature(data[..at], JsonText.From(data[(at + 1)..])) : null;

    private static void AddThoughts(ChatForm form, NeutralMessage message, List<ReasoningPart> thoughts)
    {
        if (thoughts.Count == 0)
        {
            return;
        }
        message.Parts.InsertRange(0, thoughts);
        var (blocks, details, text) = (new ArrayBufferWriter<byte>(), new ArrayBufferWriter<byte>(), new ArrayBufferWriter<byte>());
        var (blockCount, detailCount) = (0, 0);
        foreach (var thought in thoughts)
        {
            text.Write(thought.Text.Escaped.Span);
            if (thought.Signature is { Family: SignatureFamilies.Anthropic } signature)
            {
                blocks.WriteByte(blockCount == 0 ? (byte)'[' : (byte)',');
                ChatThoughts.WriteBlock(blocks, blockCount++, thought.Text, signature.Data, thought.IsRedacted);
            }
            else if (thought.Signature is not null)
            {
                details.WriteByte(detailCount == 0 ? (byte)'[' : (byte)',');
                ChatThoughts.WriteDetail(details, detailCount++, isSummary: false, thought.Text, thought.Signature, default);
            }
        }
        form.Thoughts.Add(message, new ThoughtMembers
        {
            ReasoningContent = text.WrittenCount > 0 ? JsonText.FromEscaped(text.WrittenSpan).Token : default,
            Blocks = Closed(blocks),
            Details = Closed(details),
        });
    }

    private static ReadOnlyMemory<byte> Closed(ArrayBufferWriter<byte> array)
    {
        if (array.WrittenCount == 0)
        {
            return default;
        }
        array.WriteByte((byte)']');
        return array.WrittenMemory;
    }

    private static ToolCallPart CallOf(FunctionCallContent call)
    {
        string? raw = null, signed = null;
        call.AdditionalProperties?.TryGetValue(RawArguments, out raw);
        call.AdditionalProperties?.TryGetValue(UpdateSink.SignatureProperty, out signed);
        return new ToolCallPart
        {
            Id = JsonText.From(call.CallId),
            Name = JsonText.From(call.Name),
            Arguments = raw is not null ? default : call.Arguments is { Count: > 0 } arguments ? JsonSerializer.SerializeToUtf8Bytes(arguments, AIJsonUtilities.DefaultOptions) : JsonBytes.EmptyObject,
            Text = JsonText.FromNullable(raw),
            Signature = signed is not null ? SignatureOf(signed) : null,
        };
    }

    private static void AddResult(NeutralRequest request, ChatForm form, FunctionResultContent content)
    {
        var result = new ToolResultPart { CallId = JsonText.From(content.CallId), IsShort = true };
        switch (content.Result)
        {
            case null:
                result.Content.Add(new TextPart { Text = JsonText.From(content.Exception is { } exception ? "Error: " + exception.Message : "") });
                break;
            case string text:
                result.Content.Add(new TextPart { Text = JsonText.From(text) });
                break;
            case JsonElement { ValueKind: JsonValueKind.String } text: // what a function made from a method returns
                result.Content.Add(new TextPart { Text = JsonText.From(text.GetString()!) });
                break;
            case AIContent one:
                result.Content.Add(PartOf(form, one));
                result.IsShort = one is TextContent;
                break;
            case IEnumerable<AIContent> several:
                result.Content.AddRange(several.Select(part => PartOf(form, part)));
                result.IsShort = false;
                break;
            default:
                result.Content.Add(new TextPart { Text = JsonText.FromUtf8(JsonSerializer.SerializeToUtf8Bytes(content.Result, AIJsonUtilities.DefaultOptions)) });
                break;
        }
        var message = new NeutralMessage { Role = NeutralRole.Tool };
        message.Parts.Add(result);
        request.Messages.Add(message);
    }

    private static NeutralPart PartOf(ChatForm form, AIContent content)
    {
        switch (content)
        {
            case TextContent text:
                string? signed = null;
                text.AdditionalProperties?.TryGetValue(UpdateSink.SignatureProperty, out signed);
                return new TextPart { Text = JsonText.From(text.Text), Signature = signed is not null ? SignatureOf(signed) : null };
            case DataContent data:
                return Kept(form, new MediaPart { Kind = KindOf(data.MediaType), MediaType = JsonText.From(data.MediaType), Data = JsonText.From(Convert.ToBase64String(data.Data.Span)), Name = JsonText.FromNullable(data.Name) });
            case UriContent uri:
                return Kept(form, new MediaPart { Kind = KindOf(uri.MediaType), MediaType = JsonText.From(uri.MediaType), Url = JsonText.From(uri.Uri.ToString()) });
            case HostedFileContent file:
                return Kept(form, new MediaPart { Kind = MediaKind.Document, FileId = JsonText.From(file.FileId), Name = JsonText.FromNullable(file.Name) });
            default:
                throw new NotSupportedException($"Content of the type '{content.GetType().Name}' cannot be sent to a model.");
        }
    }

    private static MediaPart Kept(ChatForm form, MediaPart part)
    {
        if (part.Kind == MediaKind.Document)
        {
            form.Files.Add(part);
        }
        return part;
    }

    private static MediaKind KindOf(string mediaType) =>
        mediaType.StartsWith("image/", StringComparison.OrdinalIgnoreCase) ? MediaKind.Image
        : mediaType.StartsWith("audio/", StringComparison.OrdinalIgnoreCase) ? MediaKind.Audio
        : mediaType.StartsWith("video/", StringComparison.OrdinalIgnoreCase) ? MediaKind.Video
        : MediaKind.Document;

    /// <summary>A number as JSON has it.</summary>
    /// <exception cref="NotSupportedException">It is infinite, or none.</exception>
    public static ReadOnlyMemory<byte> NumberOf<T>(T? number) where T : struct, INumberBase<T>
    {
        if (number is not { } value)
        {
            return default;
        }
        return T.IsFinite(value) ? Encoding.ASCII.GetBytes(value.ToString(null, CultureInfo.InvariantCulture)) : throw new NotSupportedException($"The option '{value}' is no number that can be sent.");
    }
}
