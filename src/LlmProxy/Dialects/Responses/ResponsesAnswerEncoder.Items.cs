using System.Buffers;
using System.Text;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Responses;

internal sealed partial class ResponsesAnswerEncoder
{
    private void BeginText(int block, in BlockStart start)
    {
        if (!(current is { Type: ItemType.Message } open && IsSame(open, start.IdToken)))
        {
            BeginItem(ItemType.Message, start, "msg_");
            WriteAdded(current!);
        }
        var item = current!;
        var begun = blocks[block] = new Block { Kind = start.Kind, Item = item, Text = Rent(), HasPart = true, Part = item.ContentCount++ };
        item.OpenBlocks++;
        item.HasRefusal |= start.Kind == BlockKind.Refusal;
        if (Streams)
        {
            Begin("response.content_part.added"u8);
            WritePlace(begun);
            output.Write(start.Kind == BlockKind.Text ? ",\"part\":{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[],\"logprobs\":[]}"u8 : ",\"part\":{\"type\":\"refusal\",\"refusal\":\"\"}"u8);
            EndEvent();
        }
    }

    private void BeginReasoning(int block, in BlockStart start)
    {
        if (!(current is { Type: ItemType.Reasoning } open && start.IdToken.Length > 2 && IsSame(open, start.IdToken)))
        {
            BeginItem(ItemType.Reasoning, start, "rs_");
            WriteAdded(current!);
        }
        // Most clients show summaries alone, so other providers' thoughts are given as such.
        blocks[block] = new Block { Kind = start.Kind, Item = current!, Text = Rent(), IsSummary = !(isOurs && start.Kind == BlockKind.Reasoning) };
        current!.OpenBlocks++;
    }

    private void BeginThoughts(Block block)
    {
        block.HasPart = true;
        block.Part = block.IsSummary ? block.Item.SummaryCount++ : block.Item.ContentCount++;
        if (Streams)
        {
            Begin(block.IsSummary ? "response.reasoning_summary_part.added"u8 : "response.content_part.added"u8);
            WritePlace(block);
            output.Write(block.IsSummary ? ",\"part\":{\"type\":\"summary_text\",\"text\":\"\"}"u8 : ",\"part\":{\"type\":\"reasoning_text\",\"text\":\"\"}"u8);
            EndEvent();
        }
    }

    private void BeginCall(int block, in BlockStart start)
    {
        var isCustom = start.ToolKind == ToolKind.Custom;
        BeginItem(isCustom ? ItemType.CustomCall : ItemType.FunctionCall, start, isCustom ? "ctc_" : "fc_");
        var item = current!;
        current = null; // calls are open side by side
        blocks[block] = new Block { Kind = BlockKind.ToolCall, Item = item, Text = Rent() };
        WriteAdded(item);
    }

    private void BeginImage(int block, in BlockStart start)
    {
        BeginItem(ItemType.Image, start, "ig_");
        var item = current!;
        current = null;
        blocks[block] = new Block { Kind = BlockKind.Media, Item = item, Text = Rent(), Raw = isOurs ? start.Raw.ToArray() : [] };
        WriteAdded(item);
    }

    private void AddNative(in BlockStart start)
    {
        if (!isOurs || start.Raw.IsEmpty)
        {
            context.Dropped.Add("content[]." + (start.NativeType ?? "?"));
            return;
        }
        BeginItem(ItemType.Native, start, "item_");
        var item = current!;
        current = null;
        item.Json = start.Raw.ToArray();
        WriteItemEvent("response.output_item.added"u8, item, item.Json);
        WriteItemEvent("response.output_item.done"u8, item, item.Json);
    }

    /// <summary>Whether a block belongs to the item that is open: where the upstream names items, it must be the same one.</summary>
    private static bool IsSame(Item open, ReadOnlySpan<byte> id) => id.Length <= 2 || open.SourceId.AsSpan().SequenceEqual(id);

    private void BeginItem(ItemType type, in BlockStart start, string prefix)
    {
        Leave();
        var isCall = type is ItemType.FunctionCall or ItemType.CustomCall;
        var index = items.Count;
        var own = Encoding.UTF8.GetBytes($"\"{prefix}{response.Unique}_{index}\"");
        current = new Item
        {
            Type = type,
            Index = index,
            Id = isOurs && !isCall && start.IdToken.Length > 2 ? start.IdToken.ToArray() : own,
            SourceId = start.IdToken.ToArray(),
            CallId = !isCall ? [] : start.IdToken.Length > 2 ? start.IdToken.ToArray() : Encoding.UTF8.GetBytes($"\"call_{response.Unique}_{index}\""),
            Name = isCall ? start.NameToken.IsEmpty ? [.. "\"\""u8] : start.NameToken.ToArray() : [],
            Phase = type == ItemType.Message ? phase : [],
        };
        if (type == ItemType.Message)
        {
            phase = [];
        }
        items.Add(current);
    }

    /// <summary>Another item begins: the open one is done, as soon as its blocks are.</summary>
    private void Leave()
    {
        var left = current;
        current = null;
        if (left is { OpenBlocks: 0 })
        {
            EndItem(left);
        }
    }

    private void WriteAdded(Item item)
    {
        if (Streams)
        {
            var json = Rent();
            WriteItem(json, item, "in_progress"u8, default, default);
            WriteItemEvent("response.output_item.added"u8, item, json.WrittenSpan);
            Return(json);
        }
    }

    private void WriteItemEvent(ReadOnlySpan<byte> type, Item item, ReadOnlySpan<byte> json)
    {
        if (Streams)
        {
            Begin(type);
            output.Write(",\"output_index\":"u8);
            output.WriteNumber(item.Index);
            output.Write(",\"item\":"u8);
            output.Write(json);
            EndEvent();
        }
    }

    private void WritePlace(Block block)
    {
        output.Write(",\"item_id\":"u8);
        output.Write(block.Item.Id);
        output.Write(",\"output_index\":"u8);
        output.WriteNumber(block.Item.Index);
        if (block.Item.Type is ItemType.Message or ItemType.Reasoning)
        {
            output.Write(block.IsReasoning && block.IsSummary ? ",\"summary_index\":"u8 : ",\"content_index\":"u8);
            output.WriteNumber(block.Part);
        }
    }

    private void EndPart(Block block)
    {
        if (!block.HasPart)
        {
            return;
        }
        var part = Rent();
        WritePart(part, block);
        if (Streams)
        {
            Begin(block.Kind switch
            {
                BlockKind.Text => "response.output_text.done"u8,
                BlockKind.Refusal => "response.refusal.done"u8,
                _ => block.IsSummary ? "response.reasoning_summary_text.done"u8 : "response.reasoning_text.done"u8,
            });
            WritePlace(block);
            output.Write(block.Kind == BlockKind.Refusal ? ",\"refusal\":\""u8 : ",\"text\":\""u8);
            output.Write(block.Text.WrittenSpan);
            output.WriteByte((byte)'"');
            if (block.Kind == BlockKind.Text)
            {
                WriteArray(output, ",\"logprobs\":"u8, block.LogProbs);
            }
            EndEvent();
            Begin(block.IsReasoning && block.IsSummary ? "response.reasoning_summary_part.done"u8 : "response.content_part.done"u8);
            WritePlace(block);
            output.Write(",\"part\":"u8);
            output.Write(part.WrittenSpan);
            EndEvent();
        }
        var item = block.Item;
        if (block.IsReasoning && block.IsSummary)
        {
            Append(item.Summaries ??= Rent(), part.WrittenSpan);
        }
        else
        {
            Append(item.Contents ??= Rent(), part.WrittenSpan);
        }
        Return(part);
    }

    private static void WritePart(ArrayBufferWriter<byte> part, Block block)
    {
        part.Write(block.Kind switch
        {
            BlockKind.Text => "{\"type\":\"output_text\",\"text\":\""u8,
            BlockKind.Refusal => "{\"type\":\"refusal\",\"refusal\":\""u8,
            _ => block.IsSummary ? "{\"type\":\"summary_text\",\"text\":\""u8 : "{\"type\":\"reasoning_text\",\"text\":\""u8,
        });
        part.Write(block.Text.WrittenSpan);
        part.WriteByte((byte)'"');
        if (block.Kind == BlockKind.Text)
        {
            WriteArray(part, ",\"annotations\":"u8, block.Annotations);
            WriteArray(part, ",\"logprobs\":"u8, block.LogProbs);
        }
        part.WriteByte((byte)'}');
    }

    private static void WriteArray(IBufferWriter<byte> json, ReadOnlySpan<byte> name, ArrayBufferWriter<byte>? elements)
    {
        json.Write(name);
        json.WriteByte((byte)'[');
        json.Write(elements is null ? default : elements.WrittenSpan);
        json.WriteByte((byte)']');
    }

    private void EndItem(Item item)
    {
        var json = Rent();
        WriteItem(json, item, "completed"u8, default, default);
        Done(item, json);
        Return(item.Contents);
        Return(item.Summaries);
        (item.Contents, item.Summaries) = (null, null);
    }

    private void Done(Item item, ArrayBufferWriter<byte> json)
    {
        item.Json = json.WrittenSpan.ToArray();
        WriteItemEvent("response.output_item.done"u8, item, item.Json);
        Return(json);
    }

    private void EndCall(Block block)
    {
        var item = block.Item;
        var isCustom = item.Type == ItemType.CustomCall;
        if (!isCustom && block.Text.WrittenCount == 0)
        {
            block.Text.Write("{}"u8); // a call without arguments is an empty object, never nothing
            if (Streams)
            {
                Begin(block.DeltaType);
                WritePlace(block);
                output.Write(",\"delta\":\"{}\""u8);
                EndEvent();
            }
        }
        if (Streams)
        {
            Begin(isCustom ? "response.custom_tool_call_input.done"u8 : "response.function_call_arguments.done"u8);
            WritePlace(block);
            if (!isCustom)
            {
                output.Write(",\"name\":"u8);
                output.Write(item.Name);
            }
            output.Write(isCustom ? ",\"input\":\""u8 : ",\"arguments\":\""u8);
            output.Write(block.Text.WrittenSpan);
            output.WriteByte((byte)'"');
            EndEvent();
        }
        var json = Rent();
        WriteItem(json, item, "completed"u8, block.Text.WrittenSpan, default);
        Done(item, json);
        AddCallSignature(item);
    }

    /// <summary>What signs a call has no place in it, so it stands in an item after it, for clients that keep the conversation themselves.</summary>
    private void AddCallSignature(Item call)
    {
        if (call.Encrypted.Length == 0 || ResponsesForm.Of(context.Request) is not { WantsEncryptedContent: true })
        {
            return;
        }
        BeginItem(ItemType.Reasoning, default, "rs_");
        current!.Encrypted = call.Encrypted;
        WriteAdded(current);
        Leave();
    }

    private void EndImage(Block block)
    {
        var json = Rent();
        if (block.Raw.Length > 0)
        {
            json.Write(block.Raw);
        }
        else
        {
            WriteItem(json, block.Item, "completed"u8, default, block.Text.WrittenSpan);
        }
        Done(block.Item, json);
    }

    /// <summary>Writes an item as it begins (without content) or as it is.</summary>
    private static void WriteItem(ArrayBufferWriter<byte> json, Item item, ReadOnlySpan<byte> status, ReadOnlySpan<byte> text, ReadOnlySpan<byte> image)
    {
        json.Write("{\"id\":"u8);
        json.Write(item.Id);
        json.Write(item.Type switch
        {
            ItemType.Message => ",\"type\":\"message\""u8,
            ItemType.Reasoning => ",\"type\":\"reasoning\""u8,
            ItemType.FunctionCall => ",\"type\":\"function_call\""u8,
            ItemType.CustomCall => ",\"type\":\"custom_tool_call\""u8,
            _ => ",\"type\":\"image_generation_call\""u8,
        });
        json.Write(",\"status\":\""u8);
        json.Write(status);
        json.WriteByte((byte)'"');
        switch (item.Type)
        {
            case ItemType.Message:
                WriteArray(json, ",\"content\":"u8, item.Contents);
                json.Write(",\"role\":\"assistant\""u8);
                if (item.Phase.Length > 0)
                {
                    json.Write(",\"phase\":"u8);
                    json.Write(item.Phase);
                }
                break;
            case ItemType.Reasoning:
                WriteArray(json, ",\"summary\":"u8, item.Summaries);
                if (item.Contents is not null)
                {
                    WriteArray(json, ",\"content\":"u8, item.Contents);
                }
                if (item.Encrypted.Length > 0 && !status.SequenceEqual("in_progress"u8))
                {
                    json.Write(",\"encrypted_content\":"u8);
                    json.Write(item.Encrypted);
                }
                break;
            case ItemType.Image:
                json.Write(",\"result\":"u8);
                if (image.IsEmpty)
                {
                    json.Write("null"u8);
                }
                else
                {
                    json.WriteByte((byte)'"');
                    json.Write(image);
                    json.WriteByte((byte)'"');
                }
                break;
            default:
                json.Write(",\"call_id\":"u8);
                json.Write(item.CallId);
                json.Write(",\"name\":"u8);
                json.Write(item.Name.Length > 0 ? item.Name : "\"\""u8);
                json.Write(item.Type == ItemType.CustomCall ? ",\"input\":\""u8 : ",\"arguments\":\""u8);
                json.Write(text);
                json.WriteByte((byte)'"');
                break;
        }
        json.WriteByte((byte)'}');
    }
}
