using System.Buffers;
using System.Text;
using LlmProxy.Dialects.Anthropic;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Bedrock;

/// <content>Tools, and which of them may or must be called.</content>
internal sealed partial class BedrockRequestEncoder
{
    private void WriteTools(ref JsonObjectWriter json)
    {
        var choice = request.ToolChoice;
        var tools = choice?.Mode == ToolChoiceMode.None && !isOwn ? [] : request.Tools.Where(IsWritten).ToList();
        var called = tools.Count == 0 && !isOwn ? CalledBefore() : [];
        if (called.Count > 0 && choice?.Mode == ToolChoiceMode.None)
        {
            dropped.Add("tool_choice"); // calls in the history need tools, and nothing here forbids calling one
        }
        var hasNone = tools.Count == 0 && called.Count == 0 && !answersByTool;
        if (hasNone && form?.HasToolConfig != true)
        {
            return;
        }
        json.Name("toolConfig"u8);
        var config = new JsonObjectWriter(output);
        if (hasNone)
        {
            config.Raw("tools"u8, form!.HasTools ? "[]"u8 : default);
            WriteRestOfTools(ref config, hasOthers: false);
            return;
        }
        config.Name("tools"u8);
        output.WriteByte((byte)'[');
        var list = new BlockList(output);
        foreach (var tool in tools)
        {
            list.Next();
            WriteTool(tool);
            WriteMark(ref list, tool.Cache);
        }
        foreach (var name in called)
        {
            list.Next();
            WriteSpec(name, default, "{\"type\":\"object\"}"u8, null, NoMembers);
        }
        if (answersByTool)
        {
            list.Next();
            var format = request.OutputFormat!;
            var description = format.Description.Exists ? format.Description : JsonText.From("Gives the final answer. Call it exactly once, with the whole answer.");
            WriteSpec(JsonText.From(StructuredOutput.Tool), description, format.Schema.IsEmpty ? "{\"type\":\"object\"}"u8 : format.Schema.Span, null, NoMembers);
        }
        output.WriteByte((byte)']');
        WriteRestOfTools(ref config, tools.Count > 0 || called.Count > 0);
    }

    private void WriteRestOfTools(ref JsonObjectWriter config, bool hasOthers)
    {
        WriteChoice(ref config, hasOthers);
        if (isOwn)
        {
            foreach (var (name, value) in Below("toolConfig."))
            {
                config.Name(name.Span);
                output.Write(value.Span);
            }
        }
        config.End();
    }

    private bool IsWritten(NeutralTool tool)
    {
        if (tool.Kind == ToolKind.Provider && !isOwn)
        {
            dropped.Add($"tools[].{(tool.Name.Exists ? tool.Name.ToString() : "type")}");
            return false;
        }
        return request.ToolChoice is not { Mode: ToolChoiceMode.Allowed } choice || choice.Names.Exists(name => name.ToString() == tool.Name.ToString());
    }

    private List<JsonText> CalledBefore() =>
        [.. request.Messages.SelectMany(message => message.Parts).OfType<ToolCallPart>().Select(call => call.Name.ToString()).Distinct(StringComparer.Ordinal).Select(JsonText.From)];

    private void WriteTool(NeutralTool tool)
    {
        if (tool.Kind == ToolKind.Provider)
        {
            output.Write(tool.Raw.Span);
            return;
        }
        if (form is not null && form.Tools.TryGetValue(tool, out var whole))
        {
            output.Write(whole.Span);
            return;
        }
        if (tool.Kind == ToolKind.Custom && !tool.Format.IsEmpty)
        {
            dropped.Add("tools[].format");
        }
        var schema = tool.Kind == ToolKind.Custom ? CustomTools.Schema : tool.Parameters.IsEmpty ? "{\"type\":\"object\",\"properties\":{}}"u8 : tool.Parameters.Span;
        var strict = isOwn || (isClaude && claude.HoldsToSchemas) ? tool.Strict : null;
        if (tool.Strict == true && strict is null)
        {
            dropped.Add("tools[].strict");
        }
        WriteSpec(tool.Name, tool.Description, schema, strict, tool.Extensions);
    }

    private void WriteSpec(JsonText name, JsonText description, ReadOnlySpan<byte> schema, bool? strict, ExtensionBag more)
    {
        var tool = new JsonObjectWriter(output);
        tool.Name("toolSpec"u8);
        var json = new JsonObjectWriter(output);
        json.Text("name"u8, NameOf(name));
        if (!description.IsBlank)
        {
            json.Text("description"u8, description);
        }
        json.Name("inputSchema"u8);
        var form = new JsonObjectWriter(output);
        form.Raw("json"u8, schema);
        WriteOwn(ref form, more, "toolSpec.inputSchema.");
        form.End();
        json.Boolean("strict"u8, strict);
        WriteOwn(ref json, more, "toolSpec.");
        json.End();
        WriteOwn(ref tool, more, "");
        tool.End();
    }

    private void WriteChoice(ref JsonObjectWriter config, bool hasOthers)
    {
        var choice = request.ToolChoice;
        if (request.ParallelToolCalls == false)
        {
            dropped.Add("parallel_tool_calls");
        }
        if (answersByTool)
        {
            // Thinking and a forced call exclude each other; where there are other tools, the model must call one of them or answer.
            if (!IsThinking)
            {
                config.Name("toolChoice"u8);
                output.Write(hasOthers ? "{\"any\":{}}"u8 : "{\"tool\":{\"name\":\"gateway_structured_answer\"}}"u8);
            }
            return;
        }
        var mode = choice is null ? (ToolChoiceMode?)null : choice.Mode != ToolChoiceMode.Allowed ? choice.Mode : choice.IsRequired ? ToolChoiceMode.Required : ToolChoiceMode.Auto;
        if (mode is null or ToolChoiceMode.None)
        {
            return;
        }
        if (mode == ToolChoiceMode.Named && choice!.Names.Count == 0)
        {
            error ??= Inexpressible("tool_choice", "The choice of a tool names none. Name the tool that must be called, or leave the choice to the model.");
            return;
        }
        config.Name("toolChoice"u8);
        var said = new JsonObjectWriter(output);
        var name = mode switch { ToolChoiceMode.Named => "tool", ToolChoiceMode.Required => "any", _ => "auto" };
        said.Name(Encoding.ASCII.GetBytes(name));
        var inner = new JsonObjectWriter(output);
        if (mode == ToolChoiceMode.Named)
        {
            inner.Text("name"u8, NameOf(choice!.Names[0]));
        }
        WriteOwn(ref inner, choice!.Extensions, name + ".");
        inner.End();
        WriteOwn(ref said, choice.Extensions, "");
        said.End();
    }
}
