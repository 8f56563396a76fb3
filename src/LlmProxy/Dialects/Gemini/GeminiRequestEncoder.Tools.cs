using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Gemini;

/// <content>Tools, and which of them may or must be called.</content>
internal sealed partial class GeminiRequestEncoder
{
    private void WriteTools()
    {
        var hasFunctions = false;
        var hasTools = false;
        foreach (var tool in request.Tools)
        {
            if (tool.Kind == ToolKind.Provider && !IsOwn)
            {
                Drop("tools[]." + (tool.Name.IsBlank ? "type" : tool.Name.ToString()));
                continue;
            }
            if (tool.Kind == ToolKind.Custom)
            {
                Drop("tools[].custom");
                continue;
            }
            if (!hasTools)
            {
                json.WriteStartArray("tools"u8);
                hasTools = true;
            }
            if (tool.Kind == ToolKind.Provider)
            {
                EndFunctions(ref hasFunctions);
                WriteRaw(tool.Raw);
                continue;
            }
            if (!hasFunctions)
            {
                json.WriteStartObject();
                json.WriteStartArray("functionDeclarations"u8);
                hasFunctions = true;
            }
            WriteFunction(tool);
        }
        EndFunctions(ref hasFunctions);
        if (hasTools)
        {
            json.WriteEndArray();
        }
    }

    private void EndFunctions(ref bool hasFunctions)
    {
        if (hasFunctions)
        {
            json.WriteEndArray();
            json.WriteEndObject();
            hasFunctions = false;
        }
    }

    private void WriteFunction(NeutralTool tool)
    {
        json.WriteStartObject();
        WriteMember("name"u8, tool.Name);
        if (tool.Description.Exists)
        {
            WriteMember("description"u8, tool.Description);
        }
        if (IsOwn && !tool.NativeParameters.IsEmpty)
        {
            WriteMember("parameters"u8, new JsonText(tool.NativeParameters));
        }
        else if (!tool.Parameters.IsEmpty)
        {
            WriteMember("parametersJsonSchema"u8, new JsonText(IsOwn ? tool.Parameters : GeminiSchema.ToGoogle(tool.Parameters)));
        }
        if (tool.Cache is not null)
        {
            Drop("tools[].cache_control");
        }
        WriteOwn(tool.Extensions);
        json.WriteEndObject();
    }

    private void WriteToolConfig()
    {
        var choice = request.ToolChoice;
        var isStrict = !IsOwn && request.Tools.Exists(tool => tool.Kind == ToolKind.Function && tool.Strict == true);
        var hasOwn = IsOwn && HasExtensions("toolConfig.");
        if (request.ParallelToolCalls == false)
        {
            Drop("parallel_tool_calls");
        }
        if (choice is { Mode: ToolChoiceMode.Named, Kind: not ToolKind.Function })
        {
            Drop("tool_choice");
            choice = null;
        }
        if (choice is null && !isStrict && !hasOwn)
        {
            return;
        }
        json.WriteStartObject("toolConfig"u8);
        if (choice is not null || isStrict || HasExtensions("toolConfig.functionCallingConfig."))
        {
            json.WriteStartObject("functionCallingConfig"u8);
            if (choice is not null || isStrict)
            {
                WriteMode(choice, isStrict);
            }
            WriteExtensions("toolConfig.functionCallingConfig.");
            json.WriteEndObject();
        }
        WriteExtensions("toolConfig.", except: "toolConfig.functionCallingConfig.");
        json.WriteEndObject();
    }

    private void WriteMode(NeutralToolChoice? choice, bool isStrict)
    {
        var own = IsOwn ? new JsonText(choice!.Extensions.Find("mode"u8)) : default;
        if (own.Exists)
        {
            WriteMember("mode"u8, own);
        }
        else
        {
            // VALIDATED holds the model to the schemas, and lets it answer without a call.
            json.WriteString("mode"u8, choice?.Mode switch
            {
                ToolChoiceMode.None => "NONE"u8,
                ToolChoiceMode.Required or ToolChoiceMode.Named => "ANY"u8,
                ToolChoiceMode.Allowed when choice.IsRequired => "ANY"u8,
                ToolChoiceMode.Allowed => "VALIDATED"u8,
                _ => isStrict ? "VALIDATED"u8 : "AUTO"u8,
            });
        }
        if (choice?.Names.Count > 0)
        {
            json.WriteStartArray("allowedFunctionNames"u8);
            foreach (var name in choice.Names)
            {
                json.WriteRawValue(name.Token.Span, skipInputValidation: true);
            }
            json.WriteEndArray();
        }
    }
}
